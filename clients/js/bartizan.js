/** Who is signed in, and requests that carry the session. In cookie mode no script ever sees a token. */

/** @typedef {{sub: string, name: string, email: string}} User */

/** `signed_out`, `session_changed`, `unauthorized`, or `unavailable`: the session stands, try again later. */
export class AuthError extends Error {
  /** @param {string} code @param {number} [status] @param {unknown} [cause] */
  constructor(code, status, cause) {
    super(code, {cause});
    this.code = code;
    this.status = status;
  }
}

/** `session-changed` (cancelable; default: reload): whom this page shows has gone. `signed-out` comes before it. */
export const events = new EventTarget();

const page = location;
// The port is in the name on this machine's own hosts only.
const CSRF = RegExp(`(?:^|; )__Host-bz(?:${page.port || (page.protocol === 'https:' ? 443 : 80)})?-csrf=([^;]+)`);
const SIGNED_OUT = 'signed-out', OTHER = 'other-session';
const channel = new BroadcastChannel('bartizan');

/** @type {any} */ let asked, session, seen, timer, renewing, wake;
/** @type {any} */ let extra = {};
let expires = 0, life = 0, pause = 0, fails = 0, stopped = false, quiet = false;

/** What memory mode adds. @param {any} more */
export const extend = more => { extra = more; };

const cookie = () => CSRF.exec(document.cookie)?.[1];
const near = ms => expires - Date.now() <= Math.min(ms, life / 3);
const unsafe = method => !/^(GET|HEAD|OPTIONS)$/i.test(method);

function changed(reason = cookie() ? OTHER : SIGNED_OUT, onward) {
  if (stopped) return onward && page.replace(onward);
  stopped = true;
  clearTimeout(timer);
  extra.take?.({});
  channel.postMessage({});
  const tell = name => events.dispatchEvent(new CustomEvent(name, {cancelable: true, detail: {reason}}));
  if (reason === SIGNED_OUT) tell(reason);
  const go = tell('session-changed');
  if (onward) page.replace(onward);
  else if (go) page.reload();
  else {
    asked = session = undefined;
    stopped = false;
  }
}

function over(reason, answer) {
  changed(reason);
  return new AuthError(reason === SIGNED_OUT ? 'signed_out' : 'session_changed', answer?.status, answer);
}

function arm(ms) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    pause = 0; // timers may come a moment early
    renewal().catch(() => {});
  }, ms);
}

function fresh(seconds) {
  life = seconds * 1e3;
  expires = Date.now() + life;
  fails = pause = 0;
  arm(Math.max(1e3, life * (0.7 + 0.2 * Math.random())));
  wake?.();
}

async function call(path, csrf) {
  const answer = await globalThis.fetch('/bff/' + path, {
    method: csrf ? 'POST' : 'GET',
    headers: {Accept: 'application/json', ...csrf && {'X-CSRF-Token': csrf}},
    cache: 'no-store',
    signal: AbortSignal.timeout(1e4),
  }).catch(cause => { throw new AuthError('unavailable', 0, cause); });
  if (answer.ok) return answer.json();
  if (answer.status === 401) throw over(SIGNED_OUT, answer);
  if (answer.status === 403) throw over(OTHER, answer);
  throw new AuthError('unavailable', answer.status, answer);
}

function known() {
  return asked ??= call('session').then(async found => {
    session = found;
    seen = found.signed_in ? found.csrf : cookie();
    if (found.signed_in) {
      channel.postMessage({csrf: seen});
      if (!extra.take) fresh(found.expires_in);
      if (cookie() !== seen) { // lost: a renewal sets it again
        quiet = true;
        await renewal().finally(() => { quiet = false; });
      }
    }
    return found;
  }).catch(error => {
    asked = undefined;
    throw error;
  });
}

/** Who is signed in, or null. @returns {Promise<User | null>} */
export const user = async () => (await known()).user ?? null;

/** @param {string} [returnTo] a path of this site */
export const login = (returnTo = page.pathname + page.search) => page.assign('/bff/login?return_to=' + returnTo);

/** In all tabs, and at the sign-on page, to which this page then goes. */
export async function logout() {
  const {csrf} = await known();
  quiet = true; // the cookies go before the answer is here
  const gone = await call('logout', csrf ?? '-').finally(() => { quiet = false; });
  changed(SIGNED_OUT, gone.continue);
}

export const refresh = async () => {
  if (!(await known()).signed_in) throw new AuthError('signed_out', 401);
  return renewal();
};

/** One for all tabs: who waits for the lock hears by the channel. */
async function renewal(had = expires) {
  if (expires !== had) return;
  if (Date.now() < pause) throw new AuthError('unavailable', 503);
  return renewing ??= new Promise((done, fail) => {
    wake = done;
    navigator.locks.request('bartizan', async () => {
      if (stopped || expires !== had) return;
      await renew();
      await new Promise(go => setTimeout(go, 200)); // until they have heard
    }).then(done, fail);
  }).finally(() => { renewing = wake = undefined; });
}

async function renew() {
  const got = await call('refresh', seen).catch(error => {
    if (!stopped) {
      const wait = Math.min(6e4, 1e3 * 2 ** fails++) * (0.5 + Math.random() / 2);
      pause = Date.now() + wait;
      arm(wait);
    }
    throw error;
  });
  extra.take?.(got);
  fresh(got.expires_in);
  channel.postMessage({...got, csrf: seen});
}

async function ready(once) {
  const found = await known();
  if (stopped || cookie() !== seen) throw over();
  if (found.signed_in && (once || extra.take) && near(once ? 6e4 : 5e3)) {
    await renewal().catch(error => { if (stopped || near(0)) throw error; });
  }
  return found;
}

const ours = method => ({...session?.csrf && unsafe(method) && {'X-CSRF-Token': session.csrf}, ...extra.headers?.()});

/** For requests of other kinds. @param {string} [method] @returns {Promise<Record<string, string>>} */
export async function headers(method = 'GET') {
  await ready(unsafe(method));
  return ours(method);
}

const weigh = body => body.byteLength ?? (body.entries ? [...body].reduce((sum, [, value]) => sum + weigh(value), 0)
  : body.size ?? body.length ?? Infinity);

function send(sent) {
  for (const [name, value] of Object.entries(ours(sent.method))) sent.headers.set(name, value);
  return globalThis.fetch(sent);
}

/** @param {RequestInfo | URL} input @param {RequestInit} [init] */
async function request(input, init) {
  const once = weigh(init?.body ?? input.body ?? '') > 2 ** 22; // not sent twice
  const sent = new Request(input, init);
  if (new URL(sent.url).origin !== page.origin) return globalThis.fetch(sent);
  const again = once || sent.clone();
  const {signed_in} = await ready(once);
  const had = expires;
  let answer = await send(sent);
  if (answer.status === 401 && signed_in) {
    await renewal(had);
    if (!once) answer = await send(again);
  }
  if (answer.status === 401) throw new AuthError(signed_in ? 'unauthorized' : 'signed_out', 401, answer);
  if (answer.status === 403 && unsafe(sent.method) && (await answer.clone().json().catch(() => 0))?.error === 'csrf') {
    throw over(OTHER, answer);
  }
  return answer;
}
export {request as fetch};

async function recheck(surely) {
  if (!session || stopped || quiet) return;
  if (cookie() !== seen) return changed();
  if (!surely) return;
  const now = await call('session').catch(() => {});
  if (!now || !session) return;
  if (now.csrf !== session.csrf) changed(now.signed_in ? OTHER : SIGNED_OUT);
  else if (now.signed_in && near(5e3)) renewal().catch(() => {});
}

channel.onmessage = ({data}) => {
  if (!session || data.csrf !== seen) recheck();
  else if (data.expires_in) {
    extra.take?.(data);
    fresh(data.expires_in);
  }
};
globalThis.cookieStore?.addEventListener('change', () => recheck());
document.addEventListener('visibilitychange', () => document.hidden || recheck(true));
addEventListener('pageshow', event => {
  if (!event.persisted || !session) return;
  if (cookie() === seen) return recheck(true);
  document.documentElement.replaceChildren(); // nothing private is seen again
  page.reload();
});
