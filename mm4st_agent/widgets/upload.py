"""The widget for data of one's own. Its routes are those of `web.uploads`, its style is `upload.css`."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from mm4st_agent.web.markup import script
from mm4st_agent.web.served import RuntimeFor
from mm4st_agent.web.uploads import zone_names

HTML = """<section class="upload" aria-label="Data of your own">
<div class="drop"><p>Drag a file here, or</p><button type="button" class="choose primary">Choose a file</button>
<input type="file" hidden tabindex="-1"><p class="limit"></p></div>
<p class="status" role="status" aria-live="polite"></p>
<div class="busy" hidden><progress max="1" aria-label="Progress"></progress>
<button type="button" class="cancel">Cancel</button></div>
<div class="work" hidden></div>
<h3>Your data sets</h3><div class="own"></div>
<datalist id="upload-zones">{zones}</datalist>
</section>"""


@dataclass(frozen=True)
class UploadPanel:
    """What others wire to.

    Attributes:
        html: Its event `submit` means 'ask about this data set', one that was just stored or one of the person's own;
            `delete` means that one of their own is gone. Both carry a name, which `dataset` reads.
    """

    html: gr.HTML
    _runtime_for: RuntimeFor

    def dataset(self, event: gr.EventData, user: str | None) -> str | None:
        """The data set of an event `submit`; None where this person has no such one, whatever the browser says."""
        name = str((event._data or {}).get("dataset", ""))
        registry = self._runtime_for(user).registry
        return next((own for own in registry.names() if own == name and registry.stored(own)), None)


def upload_panel(runtime_for: RuntimeFor) -> UploadPanel:
    """Make the widget in the current Blocks context; it needs 320 px and no other component."""
    zones = "".join(f'<option value="{name}">' for name in zone_names())
    # Text of ours with `${` or `{{` would be a template; this has none.
    panel = gr.HTML(HTML.format(zones=zones), js_on_load=script("upload.js"), apply_default_css=False)
    return UploadPanel(panel, runtime_for)
