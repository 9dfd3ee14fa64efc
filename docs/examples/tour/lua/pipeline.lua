-- crisol --app docs/examples/tour lua docs/examples/tour/lua/pipeline.lua
local funcs = require("funcs")

local result, err = funcs.call("myns:compute", 6, 7)
print(result)

local users = {
    {id = 1, name = "Alice", tags = {"admin", "dev"}, active = true},
    {id = 2, name = "Bob", tags = {"user"}, active = false},
    {id = 3, name = "Carol", tags = {"dev"}, active = true},
}

-- Transform: adds display field and tag count
local transformed, err = funcs.call("myns:transform_users", users)
if err then return nil, err end
for _, user in ipairs(transformed) do
    print(user.id, user.display, user["tag-count"])
end

-- Filter: returns only active users
local active, err = funcs.call("myns:filter_active", users)
print("active: " .. #active)
