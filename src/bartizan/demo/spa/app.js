/** Snapshots: who is here, their photos, adding and deleting. The session is Bartizan's, and it has no token to lose. */

import * as photos from './photos.js';
import * as session from './session.js';
import * as view from './view.js';
import {upload} from './upload.js';

const find = id => document.getElementById(id);
find('loading').hidden = false; // sent hidden: without a script nobody looks

async function open() {
  view.trouble();
  const person = await session.person();
  if (!person) {
    view.forget();
    view.show('welcome');
    return;
  }
  view.who(person.name || person.email || 'You');
  try {
    view.gallery(await photos.list(), remove);
  } finally {
    view.show('gallery'); // not before: the list would take away what was added while it was on its way
  }
}

async function remove(photo, button) {
  button.disabled = true;
  try {
    await photos.remove(photo);
    view.remove(photo.id);
    find('upload-input').focus();
  } catch (error) {
    button.disabled = false;
    complain(error);
  }
}

async function addAll(event) {
  event.preventDefault();
  view.trouble();
  const files = [...find('upload-input').files];
  const title = find('title').value.trim();
  const lines = files.map(file => view.queued(file.name, file.size));
  let done = 0;
  for (const [number, file] of files.entries()) {
    view.queueCount(done, files.length);
    await addOne(file, title || file.name.replace(/\.[^.]*$/, '') || 'Photo', lines[number]);
    done += 1;
  }
  view.queueCount(done, files.length);
  find('upload-form').reset();
}

async function addOne(file, title, line) {
  try {
    const stored = await upload(file, line.at);
    view.prepend(await photos.add(title, stored), remove);
    line.done();
  } catch (error) {
    line.failed(error instanceof photos.Refused ? error.message : 'That did not work. Try again in a moment.');
  }
}

function complain(error) {
  if (error instanceof photos.Refused) view.trouble('That did not work', error.message);
  else view.trouble('Snapshots does not answer', 'Look at your connection, then reload the page.');
}

function dropped(event) {
  event.preventDefault();
  find('upload-input').files = event.dataTransfer.files;
}

find('sign-in').addEventListener('click', () => session.signIn());
find('sign-out').addEventListener('click', () => session.signOut().catch(complain));
find('upload-form').addEventListener('submit', addAll);
find('drop').addEventListener('dragover', event => event.preventDefault());
find('drop').addEventListener('drop', dropped);

session.onSignedOut(() => {
  view.forget();
  view.show('welcome');
});

open().catch(error => {
  view.show('welcome');
  complain(error);
});
