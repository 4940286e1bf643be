/** What is on the page: pieces of DOM from photos, and nothing that knows of the network. Titles are text, always. */

const find = id => document.getElementById(id);

/** @param {'loading' | 'welcome' | 'gallery'} name */
export function show(name) {
  for (const id of ['loading', 'welcome', 'gallery']) find(id).hidden = id !== name;
  const signedIn = name === 'gallery';
  find('sign-out').hidden = !signedIn;
  find('list-link').hidden = !signedIn;
}

/** Nothing of a person stays behind on the page. */
export function forget() {
  find('who').textContent = '';
  find('photo-list').replaceChildren();
  find('queue').replaceChildren();
  find('queue-card').hidden = true;
  find('upload-form').reset();
}

export function trouble(what = '', cure = '') {
  find('trouble').hidden = !what;
  find('trouble-what').textContent = what;
  find('trouble-cure').textContent = cure;
}

export function who(name) {
  find('who').textContent = name;
}

/** @param {{id: string, title: string, picture?: string, full?: string}[]} photos */
export function gallery(photos, onDelete) {
  find('photo-list').replaceChildren(...photos.map(photo => item(photo, onDelete)));
  recount();
}

export function prepend(photo, onDelete) {
  find('photo-list').prepend(item(photo, onDelete));
  recount();
}

export function remove(id) {
  find(`photo-${id}`)?.remove();
  recount();
}

function recount() {
  const items = [...find('photo-list').children];
  items.forEach((one, number) => one.classList.toggle('lead', number === 0));
  find('none').hidden = items.length > 0;
  find('count').textContent = `${items.length} ${items.length === 1 ? 'photo' : 'photos'} · only you, and the apps you allowed, see them`;
}

function item(photo, onDelete) {
  const button = element('button', {className: 'btn plain small', type: 'button', id: `delete-${photo.id}`}, 'Delete', hidden(` ${photo.title}`));
  button.addEventListener('click', () => onDelete(photo, button));
  const caption = element('figcaption', {className: 'caption'}, element('span', {}, photo.title), button);
  return element('li', {id: `photo-${photo.id}`}, element('figure', {}, picture(photo), caption));
}

function picture(photo) {
  if (!photo.picture) return element('span', {className: 'blank'}, 'No picture yet');
  const image = element('img', {src: photo.picture, alt: photo.title, width: 480, height: 360, loading: 'lazy'});
  if (!photo.full) return image;
  return element('a', {href: photo.full, target: '_blank', rel: 'noopener'}, image);
}

/** One line of the queue; gives what changes it. */
export function queued(name, size) {
  const bar = element('progress', {max: 100, value: 0});
  bar.setAttribute('aria-label', `${name} on its way`);
  const middle = element('div', {}, element('strong', {}, name), bar);
  const right = element('span', {className: 'meta num'}, megabytes(size));
  const glyph = element('span', {className: 'glyph'}, '↑');
  glyph.setAttribute('aria-hidden', 'true');
  find('queue').prepend(element('li', {}, glyph, middle, right));
  find('queue-card').hidden = false;
  return {
    at(percent) {
      bar.value = percent;
      right.textContent = `${Math.round(percent)} %`;
    },
    done() {
      bar.replaceWith(element('span', {className: 'sub'}, megabytes(size)));
      right.className = 'state good';
      right.textContent = 'Added';
    },
    failed(sentence) {
      bar.replaceWith(element('span', {className: 'fault'}, sentence));
      right.className = 'state bad';
      right.textContent = 'Not added';
    },
  };
}

export function queueCount(done, all) {
  find('queue-count').textContent = `${done} of ${all}`;
}

function megabytes(size) {
  return size < 1048576 ? `${Math.max(1, Math.round(size / 1024))} KB` : `${(size / 1048576).toFixed(1)} MB`;
}

function hidden(text) {
  return element('span', {className: 'vh'}, text);
}

function element(tag, properties, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
