/** Photos: a title at Snapshots' API, a picture at the files server. Both take the same session. */

import {call} from './session.js';

export class Refused extends Error {
  /** @param {number} status */
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** Newest first, each with the links to its pictures, which hold for an hour. */
export async function list() {
  const [rows, stored] = await Promise.all([read('/api/photos'), pictures()]);
  const files = new Map(stored.map(file => [file.id, file]));
  return rows.photos.map(photo => withLinks(photo, files.get(photo.file_id)));
}

/** All of a person's files: the server gives a hundred at a time. */
async function pictures() {
  const all = [];
  for (let page = {next: ''}; page.next !== null; ) {
    page = await read(page.next ? `/files?before=${encodeURIComponent(page.next)}` : '/files');
    all.push(...page.files);
  }
  return all;
}

/** @param {{id: string, name: string}} file as the files server answered the upload */
export async function add(title, file) {
  const answer = await call('/api/photos', {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify({title: title.slice(0, 120), file_id: file.id}),
  });
  if (!answer.ok) throw await refusal(answer);
  return withLinks(await answer.json(), file);
}

export async function remove(photo) {
  const answer = await call(`/api/photos/${encodeURIComponent(photo.id)}`, {method: 'DELETE'});
  if (!answer.ok && answer.status !== 404) throw await refusal(answer);
  if (photo.file_id) await call(`/files/${encodeURIComponent(photo.file_id)}`, {method: 'DELETE'});
}

async function read(path) {
  const answer = await call(path, {headers: {Accept: 'application/json'}});
  if (!answer.ok) throw await refusal(answer);
  return answer.json();
}

function withLinks(photo, file) {
  return {...photo, picture: file?.thumbnail_url ?? file?.url, full: file?.url};
}

/** What went wrong, in words for a person. */
export async function refusal(answer) {
  return new Refused(answer.status, SENTENCES[answer.status] ?? 'That did not work. Try again in a moment.');
}

export const SENTENCES = {
  400: 'That is not a photo we can read.',
  401: 'You are signed out. Sign in and try again.',
  403: 'This page is out of date. Reload it and try again.',
  413: 'That file is too big. Choose one of up to 20 MB.',
  415: 'This is not a photo. Choose JPEG, PNG, GIF or WebP.',
  422: 'This is not a photo. Choose JPEG, PNG, GIF or WebP.',
  429: 'Too many at once. Wait a minute and add the rest.',
  503: 'A part of Snapshots is away for a moment. Try again in a few seconds.',
  507: 'Your space is full. Delete some photos first.',
};
