/**
 * Memory mode: the same API, with the access token in a variable of this module and nowhere else. It is fetched anew
 * after each load, by the sealed HttpOnly cookie, and goes in `Authorization` to this site alone. Tabs of this site
 * hand it on to each other as they renew, so that ten of them renew once; no page elsewhere can listen.
 */

import {extend} from './bartizan.js';

/** @type {string | undefined} */ let token;

extend({
  take: answer => { token = answer.access_token; },
  headers: () => token && {Authorization: `Bearer ${token}`},
});

export {AuthError, events, fetch, headers, login, logout, refresh, user} from './bartizan.js';
