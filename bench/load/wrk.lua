-- Requests for wrk. Arguments after `--`: `get FILE` cycles through the paths in FILE, one a line;
-- `put PREFIX SALT` puts 1 KiB under a new name each time; `call METHOD` and nothing repeat the one request.
local PUT_BYTES = 1024

function init(args)
  if args[1] == "get" then
    cycle(args[2])
  elseif args[1] == "put" then
    put(args[2], args[3])
  elseif args[1] == "call" then
    wrk.method = args[2]
  end
end

function cycle(name)
  local requests, at = {}, 0
  for path in io.lines(name) do
    requests[#requests + 1] = wrk.format("GET", path)
  end
  request = function()
    at = at % #requests + 1
    return requests[at]
  end
end

function put(prefix, salt)
  local filler, count = string.rep("x", PUT_BYTES), 0
  wrk.headers["Content-Type"] = "application/octet-stream"
  request = function()
    count = count + 1
    local name = salt .. "-" .. count
    return wrk.format("PUT", prefix .. name, nil, string.sub(name .. filler, 1, PUT_BYTES))
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "microseconds": %d, "refused": %d, "failed": %d, "p50": %d, "p99": %d}\n',
    summary.requests, summary.duration, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)
  ))
end
