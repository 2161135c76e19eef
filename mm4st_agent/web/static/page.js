// Gradio calls the examples a list and fills it with buttons, which is none to a screen reader.
new MutationObserver(() => {
  for (const examples of document.querySelectorAll("#chat .examples[role=list]")) {
    examples.setAttribute("role", "group");
    examples.setAttribute("aria-label", "Questions to start with");
  }
}).observe(document.documentElement, { childList: true, subtree: true });

// The last question stays at the top of the chat while its answer grows below it, until somebody scrolls.
{
  const SCROLLS = ["wheel", "touchmove", "pointerdown", "keydown"];
  let questions = 0, following = false;
  const follow = () => {
    const chat = document.querySelector("#chat .bubble-wrap");
    const rows = chat?.querySelectorAll(".user-row") ?? [];
    if (rows.length !== questions) following = rows.length > 0;
    questions = rows.length;
    if (!following) return;
    const offset = rows[questions - 1].getBoundingClientRect().top - chat.getBoundingClientRect().top;
    if (Math.abs(offset) > 1) chat.scrollTop += offset;
  };
  let planned = false;
  new MutationObserver(() => {
    if (planned) return;
    planned = true; // an answer that streams in changes the page many times a frame
    requestAnimationFrame(() => {
      planned = false;
      follow();
    });
  }).observe(document.documentElement, { childList: true, subtree: true });
  for (const name of SCROLLS) {
    document.addEventListener(name, event => { if (event.target.closest?.("#chat")) following = false; }, { capture: true, passive: true });
  }
}

// Gradio would copy a message as HTML, which is what it was given.
document.addEventListener("click", async event => {
  const button = event.target.closest?.('#chat button[title="Copy message"]');
  const row = button?.closest(".message-buttons")?.previousElementSibling;
  if (!row) return;
  event.stopImmediatePropagation();
  event.preventDefault();
  const answers = row.querySelectorAll(".answer"), answer = answers[answers.length - 1];
  const parts = answer ? [...answer.children].filter(part => part.tagName !== "FIGURE") : [row.querySelector(".message-content") ?? row];
  const text = parts.map(part => part.innerText.trim()).filter(Boolean).join("\n\n");
  const copied = await put(text);
  const label = button.getAttribute("aria-label");
  button.setAttribute("aria-label", copied ? "Copied" : "Copying is not allowed here");
  button.title = button.getAttribute("aria-label");
  setTimeout(() => {
    button.setAttribute("aria-label", label);
    button.title = "Copy message";
  }, 2000);
}, true);

/** Text into the clipboard; the newer way is closed to pages of other machines without TLS. */
async function put(text) {
  if (navigator.clipboard) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // the person or the browser said no; the older way may do
    }
  }
  const box = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(box);
  box.select();
  const done = document.execCommand("copy");
  box.remove();
  return done;
}
