import { el, get } from './dom.js';
import { saveHour } from './download.js';
import { playRecording } from './player.js';
import { dayFiles, duration, hoursByDay, size } from './time.js';

// openRecordings shows what is kept of a camera: its days and hours, to play
// and to download.
export async function openRecordings(camera) {
  const stage = el('div', { class: 'stage', hidden: true });
  const list = el('div', { class: 'recordings' }, el('p', { class: 'note' }, 'Looking…'));
  const close = el('button', { class: 'button', onclick: () => dialog.close() }, 'Close');
  const dialog = el('dialog', { 'aria-label': `Recordings of ${camera.label}` },
    el('div', { class: 'dialog-head' }, el('h2', {}, `Recordings of ${camera.label}`), close), stage, list);
  let player = null;
  const play = (src, label) => {
    player?.dispose();
    stage.hidden = false;
    player = playRecording(stage, src, label);
    stage.scrollIntoView({ block: 'nearest' });
  };
  dialog.addEventListener('close', () => { player?.dispose(); dialog.remove(); });
  document.body.append(dialog);
  dialog.showModal();
  try {
    const index = await (await get(`${camera.archive}/index.json`)).json();
    list.replaceChildren(days(camera, index.days ?? [], play), hours(camera, index.hours ?? [], play));
  } catch (e) {
    list.replaceChildren(el('p', { class: 'note', role: 'status' }, e.status === 404 ? 'Nothing is recorded of this camera yet.'
      : 'The recordings cannot be listed just now: the server does not answer. Close this and try again.'));
  }
}

function days(camera, all, play) {
  const section = el('section', {}, el('h3', {}, 'Days'));
  if (all.length === 0) {
    section.append(el('p', { class: 'note' }, 'No day file yet: one is made in the night after each recorded day.'));
    return section;
  }
  const rows = dayFiles(all).map(({ name, word, seconds, bytes }) => {
    const src = `${camera.archive}/days/${name}`;
    const label = `${camera.label}, ${word}`;
    return el('li', {}, el('span', { class: 'when' }, word),
      el('span', { class: 'note' }, [seconds && duration(seconds), bytes && size(bytes)].filter(Boolean).join(', ')),
      button('Play', label, () => play(src, label)),
      el('a', { class: 'button', href: src, download: `${camera.site}-${camera.name}-${name}`, 'aria-label': `Download ${label}` }, 'Download'));
  });
  section.append(el('ul', {}, ...rows));
  return section;
}

function hours(camera, all, play) {
  const section = el('section', {}, el('h3', {}, `Hours (${camera.timeZone})`));
  for (const { date, hours } of hoursByDay(all, camera.timeZone)) {
    const rows = hours.map(({ hour, label: time }) => {
      const src = `${camera.archive}/${hour}.m3u8`;
      const label = `${camera.label}, ${date} ${time}`;
      return el('li', {}, el('span', { class: 'when' }, time), button('Play', label, () => play(src, label)), hourDownload(camera, src, date, time, label));
    });
    section.append(el('h4', {}, date), el('ul', { class: 'hours' }, ...rows));
  }
  return section;
}

function hourDownload(camera, src, date, time, label) {
  const b = button('Download', label, async () => {
    b.disabled = true;
    try {
      const name = `${camera.site}-${camera.name}-${date}-${time.replace(':', '')}`;
      await saveHour(src, name, (share) => { b.textContent = `${Math.round(share * 100)} %`; });
      b.textContent = 'Download';
    } catch {
      b.textContent = 'Failed, try again';
    }
    b.disabled = false;
  });
  return b;
}

function button(word, label, onclick) {
  return el('button', { class: 'button', 'aria-label': `${word} ${label}`, onclick }, word);
}
