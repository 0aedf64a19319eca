"use strict";
// Lists the cameras of fleet.json, each with links to its playlists.
(async () => {
  const list = document.getElementById("cameras");
  const answer = await fetch("/assets/fleet.json");
  if (!answer.ok) {
    list.textContent = `The list of cameras cannot be read (${answer.status}).`;
    return;
  }
  for (const site of (await answer.json()).sites) {
    for (const camera of site.cameras) {
      const item = document.createElement("li");
      item.append(`${site.title || site.name}: ${camera.description || camera.name} `);
      for (const [text, url] of [["recorded", `/archive/${site.name}/${camera.name}/live.m3u8`],
        ["live", `/live/${site.name}/${camera.name}/index.m3u8`]]) {
        const link = document.createElement("a");
        link.href = url;
        link.textContent = text;
        item.append(link, " ");
      }
      list.append(item);
    }
  }
})();
