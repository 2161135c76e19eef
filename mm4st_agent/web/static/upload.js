// Data of one's own: send a file, watch it being read, correct, store. The server decides and writes the HTML; this
// carries it to and fro. Runs once for each widget, with `element` and `trigger` from Gradio.
const ROUTE = 'mm4st/uploads';
const ASK_EVERY_MS = 500;
const KEPT = 'mm4st-upload'; // the upload to go on with after a reload
const find = (selector) => element.querySelector(selector);
const [drop, input, status, bar, cancel, work, own] = [
  '.drop', 'input[type=file]', '.status', 'progress', '.cancel', '.work', '.own',
].map(find);
let limitMb = null;
let current = null; // id of the upload
let request = null; // while a file is being sent
let round = 0; // a later one makes answers of an earlier one void

function say(words, failed = false) {
  status.textContent = words;
  status.classList.toggle('failed', failed);
}

function show(part) { // one of drop, busy, work
  drop.hidden = part !== 'drop';
  find('.busy').hidden = part !== 'busy';
  work.hidden = part !== 'work';
}

function progress(done, total) {
  if (total) {
    bar.max = total;
    bar.value = done;
  } else {
    bar.removeAttribute('value'); // going on, nobody knows how long
  }
}

function remember(id) {
  current = id;
  if (id) sessionStorage.setItem(KEPT, id);
  else sessionStorage.removeItem(KEPT);
}

async function call(method, path, body) {
  const answer = await fetch(`${ROUTE}${path}`, {
    method,
    headers: body ? { 'Content-Type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  }).catch(() => null);
  if (answer === null) throw new Error('The server does not answer. Is it still running?');
  const told = answer.status === 204 ? {} : await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error([told.message || `The server answered with ${answer.status}.`, told.hint].join(' ').trim());
  return told;
}

function start(words = '') {
  round += 1;
  remember(null);
  work.replaceChildren();
  show('drop');
  say(words, Boolean(words));
}

// -- sending -------------------------------------------------------------------------------------

function send(files) {
  if (files.length === 0) return;
  if (files.length > 1) return start('Send one file at a time; several that belong together can be packed as a zip.');
  const file = files[0];
  const mb = file.size / 2 ** 20;
  if (limitMb !== null && mb > limitMb) {
    return start(`${file.name} has ${mb.toFixed(1)} MB; at most ${limitMb} MB are taken. `
      + 'Send a shorter period or fewer places, or save it as Parquet, which is smaller.');
  }
  round += 1;
  const mine = round;
  show('busy');
  progress(0, 1);
  say(`Sending ${file.name}.`);
  cancel.focus();
  request = new XMLHttpRequest();
  // Named here, so that it can be cancelled before the server has answered.
  remember([...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join(''));
  request.open('POST', `${ROUTE}?id=${current}&name=${encodeURIComponent(file.name)}`);
  request.responseType = 'json';
  let spoken = 0;
  request.upload.onprogress = (event) => {
    progress(event.loaded, event.total);
    const percent = Math.floor(100 * event.loaded / event.total);
    if (percent >= spoken + 10) { // not each percent is read out
      spoken = percent;
      say(`Sending ${file.name}: ${percent} %.`);
    }
  };
  request.onload = () => {
    const told = request.response || {};
    const code = request.status;
    request = null;
    if (mine !== round) return;
    if (code === 201) {
      follow(told, mine);
    } else {
      start([told.message || `The server answered with ${code}.`, told.hint].join(' ').trim());
      find('.choose').focus();
    }
  };
  request.onerror = () => {
    request = null;
    if (mine === round) start('The file did not arrive: the connection broke. Is the server running, and the file unchanged?');
  };
  request.send(file);
}

// -- following -----------------------------------------------------------------------------------

async function follow(told, mine) {
  show('busy');
  let spoken = '';
  while (told.busy) {
    progress(told.done, told.total);
    const tenth = told.total ? `: ${10 * Math.floor(10 * told.done / told.total)} %` : '';
    const words = told.words.replace(/\.$/, '') + tenth;
    if (words !== spoken) say(`${words}.`);
    spoken = words;
    await new Promise((done) => setTimeout(done, ASK_EVERY_MS));
    if (mine !== round) return;
    try {
      const next = await call('GET', `/${told.id}`);
      if (mine !== round) return;
      told = next;
    } catch (error) {
      if (mine === round) start(error.message);
      return;
    }
  }
  if (told.stage === 'stored') {
    start();
    say(`${told.dataset} is stored. You can ask about it now.`);
    await overview();
    trigger('submit', { dataset: told.dataset });
    return;
  }
  say(told.words, told.stage === 'failed');
  work.innerHTML = told.html;
  show('work');
  offerZone();
  work.querySelector('h3').focus();
}

function offerZone() {
  const mine = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const [field, button] = [work.querySelector('[name=time_zone]'), work.querySelector('[data-zone]')];
  if (!mine || mine === 'UTC' || field.value === mine) return;
  button.hidden = false;
  button.textContent = `Use ${mine}, this computer's zone`;
  button.dataset.zone = mine;
}

// -- deciding ------------------------------------------------------------------------------------

function stated(form) {
  const values = { units: {}, roles: {} };
  for (const [name, value] of new FormData(form)) {
    const colon = name.indexOf(':');
    if (colon < 0) values[name] = value;
    else values[name.slice(0, colon)][name.slice(colon + 1)] = value;
  }
  const roles = form.querySelector('.roles');
  const sorted = roles && ('given' in roles.dataset
    || [...roles.querySelectorAll('option')].some((option) => option.selected !== option.defaultSelected));
  if (!sorted) {
    values.roles = {};
    delete values.sorted_as;
  }
  return values;
}

async function look(form, action) {
  const mine = (round += 1);
  try {
    const told = await call('POST', `/${current}/${action}`, stated(form));
    cancel.focus();
    await follow(told, mine);
  } catch (error) {
    if (mine === round) form.querySelector('.problem').textContent = error.message;
  }
}

function changed(event) {
  const form = event.target.closest('form');
  const store = form.querySelector('[value=store]');
  if (!store || event.target.name === 'name') return;
  store.disabled = true;
  form.querySelector('.changed').hidden = false;
}

work.addEventListener('input', changed);
work.addEventListener('submit', (event) => {
  event.preventDefault();
  // Enter in a field takes the first button, "Look again"; in the name's field it stores.
  const named = document.activeElement && document.activeElement.name === 'name';
  const action = named && event.submitter.value === 'inspect' ? 'store' : event.submitter.value;
  const store = event.target.querySelector('[value=store]');
  if (action === 'store' && store.disabled) return;
  look(event.target, action);
});
work.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const form = button.closest('form');
  if ('discard' in button.dataset) return discard();
  if ('zone' in button.dataset) {
    const field = form.querySelector('[name=time_zone]');
    field.value = button.dataset.zone;
    button.hidden = true;
    field.focus();
    field.dispatchEvent(new Event('input', { bubbles: true }));
  } else if ('dates' in button.dataset) {
    form.querySelector('[name=time_format]').value = button.dataset.dates;
    look(form, 'inspect');
  } else if ('leaveOut' in button.dataset) {
    const field = form.querySelector('[name=left_out]');
    field.value = [field.value, button.dataset.leaveOut].filter(Boolean).join(', ');
    look(form, 'inspect');
  }
});

async function discard() {
  const id = current;
  if (request) request.abort();
  request = null;
  start();
  say('Cancelled; nothing was kept.');
  find('.choose').focus();
  if (id) await call('DELETE', `/${id}`).catch(() => null); // swept later where this fails
}

cancel.addEventListener('click', discard);

// -- one's own data sets -------------------------------------------------------------------------

async function overview() {
  try {
    const told = await call('GET', '');
    limitMb = told.limit_mb;
    find('.limit').textContent = `${told.kinds}. At most ${told.limit_mb} MB.`;
    own.innerHTML = told.html;
  } catch (error) {
    own.textContent = error.message;
  }
}

own.addEventListener('click', async (event) => {
  const button = event.target.closest('button');
  if (!button) return;
  const { use, forget } = button.dataset;
  if (use) return trigger('submit', { dataset: use });
  if (forget && !('sure' in button.dataset)) { // asked once more before it is gone for good
    button.dataset.sure = '';
    button.textContent = 'Delete for good';
    button.setAttribute('aria-label', `Delete ${forget} for good`);
    const keep = document.createElement('button');
    keep.type = 'button';
    keep.textContent = 'Keep';
    keep.onclick = () => overview();
    button.after(keep);
    keep.focus();
    return say(`Delete ${forget} for good? Its readings are gone then.`);
  }
  if (!forget) return;
  try {
    const told = await call('DELETE', `/own/${encodeURIComponent(forget)}`);
    own.innerHTML = told.html;
    say(`${forget} is deleted.`);
    find('.choose').focus();
    trigger('delete', { dataset: forget });
  } catch (error) {
    say(error.message, true);
  }
});

// -- choosing a file -----------------------------------------------------------------------------

find('.choose').addEventListener('click', () => input.click());
input.addEventListener('change', () => {
  send(input.files);
  input.value = '';
});
drop.addEventListener('dragover', (event) => {
  event.preventDefault();
  drop.classList.add('over');
});
drop.addEventListener('dragleave', () => drop.classList.remove('over'));
drop.addEventListener('drop', (event) => {
  event.preventDefault();
  drop.classList.remove('over');
  send(event.dataTransfer.files);
});

overview();
const kept = sessionStorage.getItem(KEPT);
if (kept) {
  const mine = (round += 1);
  call('GET', `/${kept}`).then((told) => {
    if (mine !== round) return;
    remember(kept);
    return follow(told, mine);
  }).catch(() => (mine === round ? start() : null));
}
