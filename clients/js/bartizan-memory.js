/**
 * Memory mode: the same API, with the access token in a variable of this module and nowhere else. It is fetched anew
 * after each load, from the sealed HttpOnly cookie, and goes in `Authorization` to this site alone.
 */

import {extend} from './bartizan.js';

/** @type {string} */ let token = '';

extend({
  token: answer => { token = answer.access_token ?? ''; },
  headers: () => (token ? {Authorization: `Bearer ${token}`} : {}),
  share: () => ({access_token: token}), // to this site's other tabs, so that ten tabs renew once
});

export {AuthError, events, fetch, headers, login, logout, refresh, user} from './bartizan.js';
