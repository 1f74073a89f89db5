-- One value per request, to one thing after the other.
-- Arguments: file with one token a line. All requests are built before the clock starts,
-- so that the generator's own work is the same for every server measured.

local requests = {}
local count = 0
local at = 0

function init(args)
  local head = { ["Content-Type"] = "application/json" }
  for token in io.lines(args[1]) do
    count = count + 1
    local body = string.format('{"values":[{"key":"temperature","value":%d.25}]}', 10 + count % 80)
    requests[count] = wrk.format("POST", "/v2/things/" .. token, head, body)
  end
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '\n@{"requests":%d,"microseconds":%d,"p50_us":%d,"p99_us":%d,"p999_us":%d,"longest_us":%d,' ..
    '"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9), latency.max,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
