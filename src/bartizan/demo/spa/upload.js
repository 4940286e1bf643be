/** One file on its way, with its progress. XMLHttpRequest, because fetch does not tell how much has been sent. */

import {headers, refresh} from './session.js';
import {Refused, SENTENCES} from './photos.js';

/**
 * As `call` does: 401 once may be a token that has just gone. If the session has, the client says so to the whole page.
 * @param {File} file
 * @param {(percent: number) => void} progress
 * @returns {Promise<{id: string, url: string}>}
 */
export async function upload(file, progress) {
  try {
    return await send(file, progress);
  } catch (error) {
    if (error.status !== 401) throw error;
    await refresh();
    return send(file, progress);
  }
}

/** @type {typeof upload} */
async function send(file, progress) {
  const ours = await headers('POST');
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', '/files');
    for (const [name, value] of Object.entries(ours)) request.setRequestHeader(name, value);
    request.setRequestHeader('Content-Type', file.type || 'application/octet-stream');
    request.setRequestHeader('X-File-Name', encodeURIComponent(file.name));
    request.responseType = 'json';
    request.upload.addEventListener('progress', event => {
      if (event.lengthComputable) progress((100 * event.loaded) / event.total);
    });
    request.addEventListener('load', () => {
      if (request.status === 201) resolve(request.response);
      else reject(new Refused(request.status, SENTENCES[request.status] ?? 'That did not work. Try again in a moment.'));
    });
    request.addEventListener('error', () => reject(new Refused(0, 'The connection was lost. Try again.')));
    request.send(file);
  });
}
