"""The tools for other agents: the same `ToolSpec`s over the Model Context Protocol."""
