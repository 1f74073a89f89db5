-- The newest values of one resource, of one thing after the other.
-- Arguments: file with one token a line; how many values (1 asks without a query).

local requests = {}
local count = 0
local at = 0

function init(args)
  local query = ""
  if args[2] ~= "1" then
    query = "?limit=" .. args[2]
  end
  for token in io.lines(args[1]) do
    count = count + 1
    requests[count] = wrk.format("GET", "/v2/things/" .. token .. "/resources/temperature" .. query)
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
