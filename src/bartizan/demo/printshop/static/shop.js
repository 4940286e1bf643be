/** The print shop's page: counts what is chosen, and reads the one route of Snapshots that is open to this origin. */

const api = document.body.dataset.api;
const count = document.querySelector('#shared-count');

/** The token stays in this variable: no storage, no cookie that script can read. */
async function token() {
  const answer = await fetch('/page-token', {headers: {Accept: 'application/json'}});
  if (!answer.ok) return null;
  return (await answer.json()).access_token;
}

async function askSnapshots() {
  const bearer = await token();
  if (!bearer) {
    count.textContent = 'access has ended';
    return;
  }
  const answer = await fetch(api + '/api/shared', {headers: {Authorization: `Bearer ${bearer}`}, credentials: 'omit'});
  if (!answer.ok) {
    count.textContent = `no (${answer.status})`;
    return;
  }
  const {count: number} = await answer.json();
  count.textContent = number === 1 ? '1 photo' : `${number} photos`;
}

function countPrints() {
  const chosen = document.querySelectorAll('#photos input:checked').length;
  const words = chosen === 1 ? '1 print' : `${chosen} prints`;
  document.querySelector('#prints').textContent = chosen ? `${words}, 13 × 18 cm` : 'No photo chosen';
  document.querySelector('#price').textContent = chosen
    ? `${(chosen * 1.4).toFixed(2)} EUR and postage`
    : '1.40 EUR each, and postage';
}

document.querySelector('#photos').addEventListener('change', countPrints);
askSnapshots().catch(() => {
  count.textContent = 'no answer';
});
