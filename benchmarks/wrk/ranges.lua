-- Pieces of an image, which some things take one after the other.
-- Arguments: file with one token a line, id of the image, its size, size of a piece, how many of
-- the things, and what is first: "pieces" (a thing takes the whole image, then the next does, for
-- one connection) or "things" (in turn, because a thing may not have many downloads at once). All
-- requests are built before the clock starts, so that the generator's own work is the same for
-- every server measured.

local requests = {}
local count = 0
local at = 0

local function add(target, from, piece)
  count = count + 1
  requests[count] = wrk.format(
    "GET", target, { ["Range"] = "bytes=" .. from .. "-" .. from + piece - 1 })
end

function init(args)
  local id, size, piece = args[2], tonumber(args[3]), tonumber(args[4])
  local targets = {}
  for token in io.lines(args[1]) do
    if #targets < tonumber(args[5]) then
      targets[#targets + 1] = "/v2/things/" .. token .. "/firmwares/download/" .. id
    end
  end
  if args[6] == "pieces" then
    for _, target in ipairs(targets) do
      for from = 0, size - piece, piece do add(target, from, piece) end
    end
  else
    for from = 0, size - piece, piece do
      for _, target in ipairs(targets) do add(target, from, piece) end
    end
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
