-- JSON in Lua 5.3 or newer, without loss where Lua has none: integers of 64 bits stay integers,
-- null is json.null, and an empty array stays one.
--
-- json.decode(text) and json.encode(value) raise a message. Arrays that were decoded, or made by
-- json.array(table), are arrays even when empty; other tables are arrays if they have a [1].

local json = {}

json.null = setmetatable({}, { __tostring = function() return "null" end })

local Array = {}

function json.array(values)
  return setmetatable(values or {}, Array)
end

local ESCAPES = { b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

local function fail(position, what)
  error(("%s at byte %d"):format(what, position), 0)
end

local function skip_space(text, position)
  return text:find("[^ \t\r\n]", position) or #text + 1
end

-- \uXXXX behind its backslash: the character, and where the text goes on. Half a surrogate pair
-- is no character, and becomes the one that stands for that.
local function decode_unit(text, position)
  local unit = tonumber(text:match("^u(%x%x%x%x)", position) or fail(position, "bad escape"), 16)
  local after = position + 5
  if unit >= 0xD800 and unit < 0xDC00 then
    local low = tonumber(text:match("^\\u([dD][c-fC-F]%x%x)", after) or "", 16)
    if low then
      return utf8.char(0x10000 + (unit - 0xD800) * 0x400 + low - 0xDC00), after + 6
    end
  end
  return utf8.char((unit >= 0xD800 and unit < 0xE000) and 0xFFFD or unit), after
end

-- Each decoder begins at its value's first byte, and returns the value and the byte behind it.
local decode_value

local function decode_string(text, position)
  local pieces = {}
  position = position + 1
  while true do
    local stop = text:find('[%c"\\]', position) or fail(position, "endless string")
    pieces[#pieces + 1] = text:sub(position, stop - 1)
    local character = text:sub(stop, stop)
    if character == '"' then
      return table.concat(pieces), stop + 1
    elseif character == "\127" then
      pieces[#pieces + 1], position = character, stop + 1
    elseif character ~= "\\" then
      fail(stop, "control character")
    else
      local escape = ESCAPES[text:sub(stop + 1, stop + 1)]
      if escape then
        pieces[#pieces + 1], position = escape, stop + 2
      else
        pieces[#pieces + 1], position = decode_unit(text, stop + 1)
      end
    end
  end
end

local function decode_number(text, position)
  local number = text:match("^-?%d+%.?%d*[eE]?[+-]?%d*", position) or fail(position, "no value")
  if number:find("^-?0%d") or number:find("%.%D") or not number:find("%d$") then
    fail(position, "bad number")
  end
  return tonumber(number), position + #number
end

-- The members of an array or object up to `close`; `member` decodes one.
local function decode_members(text, position, close, member)
  position = skip_space(text, position + 1)
  if text:sub(position, position) == close then
    return position + 1
  end
  while true do
    position = skip_space(text, member(position))
    local separator = text:sub(position, position)
    if separator == close then
      return position + 1
    elseif separator ~= "," then
      fail(position, "no comma")
    end
    position = skip_space(text, position + 1)
  end
end

local function decode_array(text, position)
  local array, count = json.array(), 0
  return array, decode_members(text, position, "]", function(start)
    local after
    count = count + 1
    array[count], after = decode_value(text, start)
    return after
  end)
end

local function decode_object(text, position)
  local object = {}
  return object, decode_members(text, position, "}", function(start)
    if text:sub(start, start) ~= '"' then
      fail(start, "no key")
    end
    local key, after = decode_string(text, start)
    after = skip_space(text, after)
    if text:sub(after, after) ~= ":" then
      fail(after, "no colon")
    end
    object[key], after = decode_value(text, skip_space(text, after + 1))
    return after
  end)
end

local WORDS = { t = { "true", true }, f = { "false", false }, n = { "null", json.null } }

function decode_value(text, position)
  local first = text:sub(position, position)
  local word = WORDS[first]
  if first == '"' then
    return decode_string(text, position)
  elseif first == "{" then
    return decode_object(text, position)
  elseif first == "[" then
    return decode_array(text, position)
  elseif word and text:sub(position, position + #word[1] - 1) == word[1] then
    return word[2], position + #word[1]
  end
  return decode_number(text, position)
end

function json.decode(text)
  if not utf8.len(text) then
    error("not UTF-8", 0)
  end
  local value, position = decode_value(text, skip_space(text, 1))
  position = skip_space(text, position)
  if position <= #text then
    fail(position, "more than one value")
  end
  return value
end

local function encode_string(text)
  if not utf8.len(text) then
    error("a string is not UTF-8", 0)
  end
  local escaped = text:gsub('["\\]', "\\%0"):gsub("%c", function(character)
    return ("\\u%04x"):format(character:byte())
  end)
  return '"' .. escaped .. '"'
end

local function encode_number(number)
  if math.type(number) == "integer" then
    return tostring(number)
  elseif number ~= number or number == math.huge or number == -math.huge then
    error(("%s is no number of JSON's"):format(number), 0)
  end
  -- The shortest that is read back as the same number.
  for digits = 15, 17 do
    local text = ("%." .. digits .. "g"):format(number)
    if tonumber(text) == number then
      return text
    end
  end
end

local function append(pieces, value)
  local kind = type(value)
  if value == nil or value == json.null then
    pieces[#pieces + 1] = "null"
  elseif kind == "boolean" then
    pieces[#pieces + 1] = tostring(value)
  elseif kind == "number" then
    pieces[#pieces + 1] = encode_number(value)
  elseif kind == "string" then
    pieces[#pieces + 1] = encode_string(value)
  elseif kind ~= "table" then
    error(("a %s is no JSON"):format(kind), 0)
  elseif getmetatable(value) == Array or value[1] ~= nil then
    local separator = "["
    for _, member in ipairs(value) do
      pieces[#pieces + 1], separator = separator, ","
      append(pieces, member)
    end
    pieces[#pieces + 1] = separator == "[" and "[]" or "]"
  else
    local separator = "{"
    for key, member in pairs(value) do
      if type(key) ~= "string" then
        error(("a key is a %s"):format(type(key)), 0)
      end
      pieces[#pieces + 1], separator = separator .. encode_string(key) .. ":", ","
      append(pieces, member)
    end
    pieces[#pieces + 1] = separator == "{" and "{}" or "}"
  end
end

function json.encode(value)
  local pieces = {}
  append(pieces, value)
  return table.concat(pieces)
end

return json
