"""What the browser is shown: HTML, chart and map data, uploads, exports, routes. FastAPI, but no Gradio."""
