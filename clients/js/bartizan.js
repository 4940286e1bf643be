/** Who is signed in, and requests that carry the session. In cookie mode no script ever sees a token. */

/** @typedef {{sub: string, name: string, email: string}} User */
/** @typedef {{signed_in: boolean, user?: User, csrf?: string, expires_in?: number}} Session */

export class AuthError extends Error {
  /** @param {string} code @param {number} [status] */
  constructor(code, status) {
    super(code);
    this.code = code;
    this.status = status;
  }
}

/** `session-changed`, cancelable: this page shows somebody who has gone. Default: reload. */
export const events = new EventTarget();

const page = globalThis.location;
const local = /(^|\.)localhost$|^127\.|^\[::1\]$/.test(page.hostname);
const port = local ? page.port || (page.protocol === 'https:' ? 443 : 80) : '';
const CSRF = `__Host-bz${port}-csrf=`;
const REPLAYED = 4 * 1024 * 1024; // larger bodies are not sent twice, so their session is renewed before
const channel = new BroadcastChannel('bartizan');

/** @type {Promise<Session> | undefined} */ let asked;
/** @type {Session | undefined} */ let session;
/** @type {any} */ let extra = {};
/** @type {any} */ let timer;
let expires = 0;
let stopped = false;
/** @type {(() => void)[]} */ let waiting = [];

/** @param {any} more what memory mode adds */
export const extend = more => { extra = more; };

const cookie = () => document.cookie.split('; ').find(pair => pair.startsWith(CSRF))?.slice(CSRF.length);
const left = () => expires - Date.now();

/** @param {string} reason */
function changed(reason) {
  if (stopped) return;
  stopped = true;
  clearTimeout(timer);
  if (events.dispatchEvent(new CustomEvent('session-changed', {cancelable: true, detail: {reason}}))) page.reload();
  else { asked = session = undefined; stopped = false; }
}

/** @param {number} seconds */
function fresh(seconds) {
  expires = Date.now() + seconds * 1000;
  clearTimeout(timer);
  // before the end, at another moment in each tab
  timer = setTimeout(() => refresh().catch(() => {}), Math.max(1000, seconds * (0.7 + 0.2 * Math.random()) * 1000));
  waiting.splice(0).forEach(go => go());
}

/** @returns {Promise<Session>} */
async function ask() {
  const answer = await globalThis.fetch('/bff/session', {headers: {Accept: 'application/json'}, cache: 'no-store'});
  if (!answer.ok) throw new AuthError('unavailable', answer.status);
  return answer.json();
}

/** One request a page life. */
function known() {
  asked ??= ask().then(found => {
    session = found;
    if (found.signed_in && found.expires_in) fresh(found.expires_in);
    return found;
  });
  asked.catch(() => { asked = undefined; });
  return asked;
}

/** Who is signed in, or null. @returns {Promise<User | null>} */
export const user = async () => (await known()).user ?? null;

/** @param {string} [returnTo] a path of this site */
export const login = (returnTo = page.pathname + page.search) => {
  page.assign('/bff/login?return_to=' + returnTo);
};

/** Ends the session, in all tabs, and at the sign-on page, to which this page then goes. */
export async function logout() {
  const {csrf = ''} = await known();
  const answer = await globalThis.fetch('/bff/logout', {method: 'POST', headers: {'X-CSRF-Token': csrf, Accept: 'application/json'}});
  if (answer.status === 403) return changed('other-session');
  if (!answer.ok) throw new AuthError('unavailable', answer.status);
  stopped = true;
  clearTimeout(timer);
  channel.postMessage({out: 1});
  page.replace((await answer.json()).continue);
}

/** Tabs that come at the same moment wait for the first one's answer. */
export async function refresh() {
  const {signed_in, csrf = ''} = await known();
  if (!signed_in) throw new AuthError('signed_out', 401);
  const had = expires;
  for (let tries = 0; expires === had; tries++) {
    const mine = await navigator.locks.request('bartizan', {ifAvailable: true}, lock => lock && renew(csrf));
    if (mine !== null || tries > 5) return;
    // Another tab is at it and tells by the channel; if it dies, we take our turn.
    await new Promise(go => { waiting.push(go); setTimeout(go, 3000); });
  }
}

async function renew(csrf) {
  const answer = await globalThis.fetch('/bff/refresh', {method: 'POST', headers: {'X-CSRF-Token': csrf}});
  if (answer.status === 401 || answer.status === 403) {
    if (answer.status === 401) channel.postMessage({out: 1});
    changed(answer.status === 401 ? 'signed-out' : 'other-session');
    throw new AuthError('signed_out', answer.status);
  }
  if (!answer.ok) throw new AuthError('unavailable', answer.status);
  const got = await answer.json();
  extra.token?.(got);
  fresh(got.expires_in);
  channel.postMessage({csrf, for: got.expires_in, more: extra.share?.()});
  return 1;
}

/** @param {boolean} [surely] for bodies that cannot be sent twice */
async function ready(surely) {
  const found = await known();
  if (found.signed_in && (cookie() !== found.csrf || stopped)) {
    changed(cookie() ? 'other-session' : 'signed-out');
    throw new AuthError('session_changed');
  }
  if (found.signed_in && (surely || extra.headers) && left() < (surely ? 60e3 : 5e3)) await refresh();
  return found;
}

/** For requests not made by `fetch` below. @param {string} [method] @returns {Promise<Record<string, string>>} */
export async function headers(method = 'GET') {
  const unsafe = !/^(GET|HEAD|OPTIONS)$/i.test(method);
  const {csrf} = await ready(unsafe);
  return {...(unsafe && csrf ? {'X-CSRF-Token': csrf} : {}), ...extra.headers?.()};
}

/** @param {RequestInfo | URL} input @param {RequestInit} [init] */
async function request(input, init) {
  const sent = new Request(input, init);
  if (new URL(sent.url).origin !== page.origin) return globalThis.fetch(sent);
  const body = init?.body;
  const size = body instanceof Blob ? body.size : body instanceof ArrayBuffer || ArrayBuffer.isView(body) ? body.byteLength
    : typeof body === 'string' ? body.length : body instanceof URLSearchParams || body == null ? 0 : Infinity;
  const unsafe = !/^(GET|HEAD|OPTIONS)$/.test(sent.method);
  const found = await ready(size > REPLAYED);
  if (unsafe && found.csrf) sent.headers.set('X-CSRF-Token', found.csrf);
  for (const [name, value] of Object.entries(extra.headers?.() ?? {})) sent.headers.set(name, value);
  const answer = await globalThis.fetch(sent);
  if (found.signed_in && (answer.status === 401 || (answer.status === 403 && unsafe))) await recheck(true);
  return answer;
}
export {request as fetch};

/** Is the person whom this page shows still here? @param {boolean} [surely] ask the server too */
async function recheck(surely) {
  if (!session || stopped) return;
  if (cookie() !== session.csrf) return changed(cookie() ? 'other-session' : 'signed-out');
  if (!surely) return;
  const now = await ask().catch(() => session);
  if (now?.csrf !== session?.csrf) changed(now?.signed_in ? 'other-session' : 'signed-out');
  else if (now?.signed_in && left() < 5e3) refresh().catch(() => {});
}

channel.onmessage = ({data}) => {
  if (data.out) { if (session?.signed_in) changed('signed-out'); }
  else if (session && data.csrf === session.csrf) {
    if (data.more) extra.token?.(data.more);
    fresh(data.for);
  }
};
document.addEventListener('visibilitychange', () => { if (!document.hidden) recheck(true); });
addEventListener('pageshow', event => {
  if (!event.persisted || !session) return;
  // out of the back-forward cache: nothing private may be seen again
  if (cookie() !== session.csrf) { document.documentElement.hidden = true; page.reload(); }
  else recheck(true);
});
