local funcs = require("funcs")

local function summary(users)
    if #users == 0 then
        return nil, "no users"
    end
    -- Both calls run at the same time.
    local transformed = funcs.async("myns:transform_users", users)
    local active = funcs.async("myns:filter_active", users)
    local all, err = transformed:await()
    if err then return nil, err end
    local some, err = active:await()
    if err then return nil, err end
    return {total = #all, active = #some, first = all[1].display}
end

return {summary = summary}
