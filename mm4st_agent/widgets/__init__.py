"""Parts of the page as Gradio widgets with their events; `app.py` puts them together."""
