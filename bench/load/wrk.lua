-- Requests for wrk. Arguments after `--`: `get FILE` cycles through the paths in FILE, one a line;
-- `put PREFIX SALT BYTES` puts so many under a new name each time; `mixed PREFIX SALT` puts 1 KiB so each tenth time, and
-- repeats the one request otherwise; `call METHOD` and nothing repeat it always.
local PUT_BYTES = 1024

function init(args)
  if args[1] == "get" then
    cycle(args[2])
  elseif args[1] == "put" then
    put(args[2], args[3], tonumber(args[4]))
  elseif args[1] == "mixed" then
    mixed(args[2], args[3])
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

function put(prefix, salt, bytes)
  local filler, count = string.rep("x", bytes), 0
  wrk.headers["Content-Type"] = "application/octet-stream"
  request = function()
    count = count + 1
    local name = salt .. "-" .. count
    return wrk.format("PUT", prefix .. name, nil, string.sub(name .. filler, 1, bytes))
  end
end

function mixed(prefix, salt)
  local get, count = wrk.format("GET"), 0
  put(prefix, salt, PUT_BYTES)
  local next_put = request
  request = function()
    count = count + 1
    return count % 10 == 0 and next_put() or get
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
