// el makes an element: el('button', {class: 'x', onclick: f}, 'text', child …).
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
}

// here is the address of a path on this server. A page that was opened as
// http://user:password@… (a display on a wall) has both in its own address, and
// browsers refuse to fetch from an address that holds a password; they send it anyhow.
export const here = (path) => new URL(path, location.origin).href;

// Every request may hang on a bad network; none may do so for ever.
export async function get(url, timeout = 8000) {
  const res = await fetch(here(url), { cache: 'no-cache', signal: AbortSignal.timeout(timeout) });
  if (!res.ok) throw Object.assign(new Error(`${url}: ${res.status}`), { status: res.status });
  return res;
}
