-- Health of the kinds of apitoken.dev; the same script serves all three.
-- Argo CD runs it without Lua's string library.
local conditions = {}
if obj.status ~= nil and obj.status.conditions ~= nil then
  for _, condition in ipairs(obj.status.conditions) do
    conditions[condition.type] = condition
  end
end

local function holds(kind)
  return conditions[kind] ~= nil and conditions[kind].status == "True"
end

-- The first of these conditions that is there says why; Ready is always there
-- once the operator has looked at the object.
local function why(...)
  for _, kind in ipairs({...}) do
    local condition = conditions[kind]
    if condition ~= nil and condition.message ~= nil then
      return condition.message
    end
  end
  return ""
end

if obj.metadata.deletionTimestamp ~= nil then
  return { status = "Progressing", message = "Deleting: " .. why("ActionRequired", "Stalled", "Reconciling", "Ready") }
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "The operator has not looked at this version yet" }
end

-- A person has something to do at the provider. Nobody else will do it, so it is
-- shown as Degraded also while the credential in use still works.
if holds("ActionRequired") then
  return { status = "Degraded", message = why("ActionRequired") }
end

if holds("Stalled") then
  return { status = "Degraded", message = why("Stalled") }
end

if obj.spec.suspend == true then
  local message = why("Ready")
  if holds("Ready") then
    message = "No new credential is issued, because spec.suspend is true. " .. message
  end
  return { status = "Suspended", message = message }
end

if holds("Reconciling") then
  return { status = "Progressing", message = why("Reconciling") }
end

if holds("Ready") then
  return { status = "Healthy", message = why("Ready") }
end

return { status = "Progressing", message = why("Ready") }
