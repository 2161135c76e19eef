"""Chat models behind one LangChain interface: embedded, and any OpenAI-compatible server."""
