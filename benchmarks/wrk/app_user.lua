-- Calls of one app user, one after the other, from a place in the list that differs each time.
-- Arguments: method, file with the session token, file with the calls: a target a line, and
-- behind a tab its body if it has one. All requests are built before the clock starts, so that
-- the generator's own work is the same for every server measured.

local requests = {}
local count = 0
local at = 0

function init(args)
  local method = args[1]
  local token = io.open(args[2]):read("*l")
  local bare = { ["Authorization"] = token }
  local full = { ["Authorization"] = token, ["Content-Type"] = "application/json" }
  for line in io.lines(args[3]) do
    count = count + 1
    local target, body = line:match("^([^\t]+)\t(.+)$")
    requests[count] = wrk.format(method, target or line, body and full or bare, body)
  end
  math.randomseed(os.time())
  at = math.random(count)
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
