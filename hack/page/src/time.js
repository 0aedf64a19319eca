// Times are shown in the site's time zone: somebody who looks for what happened
// at the gate at nine means nine at the gate.

// hoursByDay groups index.json's UTC hours ("2026-11-23/04") into the site's
// days, newest first: [{date, hours: [{hour, label, from}]}].
export function hoursByDay(hours, timeZone) {
  const days = new Map();
  for (const hour of [...hours].sort().reverse()) {
    const from = new Date(hour.replace('/', 'T') + ':00:00Z');
    if (Number.isNaN(from.getTime())) continue;
    const date = localDate(from, timeZone);
    if (!days.has(date)) days.set(date, []);
    days.get(date).push({ hour, from, label: localTime(from, timeZone) });
  }
  return [...days].map(([date, list]) => ({ date, hours: list }));
}

// dayFiles lists index.json's day files, newest day first: a day whose camera
// changed its codec has several, and what it says of a day is of all of them.
export function dayFiles(days) {
  return [...days].sort((a, b) => b.date.localeCompare(a.date)).flatMap(({ date, files, seconds, bytes }) => {
    const names = files ?? [`${date}.mp4`];
    return names.map((name, i) => ({
      name, word: names.length === 1 ? date : `${date} (${i + 1} of ${names.length})`,
      seconds: i === 0 ? seconds : undefined, bytes: i === 0 ? bytes : undefined,
    }));
  });
}

export function localDate(t, timeZone) {
  // en-CA writes YYYY-MM-DD, the form of the day files' names.
  return new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' }).format(t);
}

export function localTime(t, timeZone) {
  return new Intl.DateTimeFormat('en-GB', { timeZone, hour: '2-digit', minute: '2-digit' }).format(t);
}

// ago puts a duration into words, roughly.
export function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  if (s < 86400) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
}

export function size(bytes) {
  const units = ['bytes', 'KB', 'MB', 'GB', 'TB'];
  let i = 0;
  while (bytes >= 1000 && i < units.length - 1) { bytes /= 1000; i++; }
  return `${i === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[i]}`;
}

export function duration(seconds) {
  const h = Math.floor(seconds / 3600), m = Math.floor(seconds % 3600 / 60), s = Math.round(seconds % 60);
  return h ? `${h} h ${m} min` : m ? `${m} min ${s} s` : `${s} s`;
}
