"""The tools in other people's programs: `session`, `results`; what is public is listed by `mm4st_agent` itself."""
