// Bundles the page into compiler/page/assets, from where it is embedded. The
// output is checked in, so that building camfleet needs no Node; `make page`
// builds it again and fails when it differs.
import { build } from 'esbuild';
import { copyFile, readFile, writeFile } from 'node:fs/promises';

const out = new URL('../../compiler/page/assets/', import.meta.url).pathname;

await build({
  entryPoints: { page: 'src/main.js' },
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife',
  target: ['chrome100', 'firefox100', 'safari15'],
  define: { 'process.env.NODE_ENV': '"production"' },
  legalComments: 'none',
  loader: { '.woff': 'dataurl' },
  logLevel: 'warning',
});
await copyFile('src/index.html', out + 'index.html');
// video.js and what it bundles are Apache-2.0 and MIT: their notices go along.
const licence = await readFile('node_modules/video.js/LICENSE', 'utf8');
await writeFile(out + 'LICENSES.txt', 'page.js and page.css contain video.js (https://videojs.com), under this licence:\n\n' + licence);
