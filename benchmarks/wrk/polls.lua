-- Questions for a newer image, by one thing after the other, each with what it was told before.
-- Arguments: file with a token and behind a tab its entity tag in each line; the version that
-- the things run.

local requests = {}
local count = 0
local at = 0

function init(args)
  for line in io.lines(args[1]) do
    local token, etag = line:match("^([^\t]+)\t(.+)$")
    count = count + 1
    requests[count] = wrk.format(
      "GET", "/v2/things/" .. token .. "/firmwares/latest",
      { ["If-None-Match"] = etag, ["X-Firmware-Version"] = args[2] })
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
