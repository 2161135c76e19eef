// Runs in the evidence panel's `gr.HTML`, which gives `element`, `trigger` and `watch`. Links to evidence are anywhere
// in the page, so the document is listened to. Values of the panel come from the server, already escaped.
const LINK = 'a[href^="#claim-"], a[href^="#source-"], a[href^="#entry-"]';
const PATIENCE_MS = 10000; // a side panel may have to open first

let opener = null; // the link in an answer that the panel was opened from
let wanted = null; // what was asked for last, until the server has answered

element.setAttribute('role', 'region');
element.setAttribute('aria-label', 'Evidence');
element.setAttribute('aria-live', 'polite');

const visible = (node) => node !== null && node.getClientRects().length > 0;

// A side panel slides in from outside the window; scrolling to what is still outside would move the page instead.
function arrived(node) {
  const { left, right } = node.getBoundingClientRect();
  return visible(node) && left >= -1 && right <= window.innerWidth + 1;
}

function focusWhenArrived(node) {
  const until = performance.now() + PATIENCE_MS;
  const from = document.activeElement;
  const look = () => {
    if (node === null || !node.isConnected) return;
    if (arrived(node)) {
      node.focus({ preventScroll: true });
      node.scrollIntoView({ block: 'nearest' });
    } else if (performance.now() < until && [from, document.body].includes(document.activeElement)) {
      requestAnimationFrame(look); // a person who went on elsewhere stays there
    }
  };
  look();
}

function settle() {
  element.removeAttribute('aria-busy');
  focusWhenArrived(element.querySelector('h2'));
}

function choose(link) {
  const part = link.getAttribute('href').slice(1);
  if (!element.contains(link)) opener = link;
  wanted = part;
  trigger('submit', { part });
  const shown = element.querySelector('[data-part]');
  if (shown !== null && shown.dataset.part === part) settle(); // the server's answer says the same
  else element.setAttribute('aria-busy', 'true');
}

function goBack() {
  // The chat may have been drawn anew since, so a link to the same is looked for, too.
  const href = opener?.getAttribute('href');
  const links = [opener, ...[...document.querySelectorAll(LINK)].filter((one) => one.getAttribute('href') === href)];
  const link = links.find((one) => one !== null && one.isConnected && !element.contains(one) && visible(one));
  if (link !== undefined) {
    link.focus();
    link.scrollIntoView({ block: 'center' });
  }
}

function onClick(event) {
  if (!element.isConnected) {
    document.removeEventListener('click', onClick, true);
    document.removeEventListener('keydown', onKey, true);
    return;
  }
  const target = event.target instanceof Element ? event.target : null;
  const back = target?.closest('.evidence-panel button.back');
  const link = target?.closest(LINK);
  const choice = target?.closest('.answer button.choice');
  if (back && element.contains(back)) {
    event.preventDefault();
    goBack();
  } else if (link) {
    event.preventDefault();
    choose(link);
  } else if (choice) {
    event.preventDefault();
    trigger('select', { text: choice.textContent });
  }
}

function onKey(event) {
  // Enter presses a link by itself; a link that is a button is pressed by the space bar, too.
  const link = event.key === ' ' && event.target instanceof Element ? event.target.closest(`:is(${LINK})[role="button"]`) : null;
  if (link !== null) {
    event.preventDefault();
    link.click();
  }
}

document.addEventListener('click', onClick, true);
document.addEventListener('keydown', onKey, true);

watch('value', () => {
  if (wanted === null) return;
  requestAnimationFrame(() => {
    const shown = element.querySelector('[data-part]'); // none where it is not kept any more
    if (shown === null || shown.dataset.part === wanted) wanted = null;
    settle();
  });
});
