/** The session, by Bartizan's browser client. All that this app knows of it is here: the rest knows people only. */

import {events, login, logout, user} from '/bff/client.js';

/** `call` is fetch with the session; `headers` and `refresh` are for what fetch cannot do. */
export {fetch as call, headers, refresh} from '/bff/client.js';

/** Who is here, or null. @returns {Promise<{name: string, email: string} | null>} */
export const person = () => user();

export const signIn = () => login('/');
export const signOut = () => logout();

/** The person has gone, in this tab or another: the client reloads the page right after. @param {() => void} forget */
export function onSignedOut(forget) {
  events.addEventListener('session-changed', forget);
}
