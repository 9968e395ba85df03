"use strict";
(() => {
  const root = document.documentElement;
  const $ = (id) => document.getElementById(id);
  const store = (value) => { try { if (value) localStorage.setItem("theme", value); return localStorage.getItem("theme"); } catch { return null; } };
  const saved = store();
  if (saved === "dark" || saved === "light") root.dataset.theme = saved;
  $("theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    store(next);
  });

  // Table: sort by a column, filter by words and kind.
  const table = $("all"), body = table.tBodies[0], rows = [...body.rows];
  const key = (row, column) => {
    const cell = row.cells[column];
    if (!("v" in cell.dataset)) return cell.textContent.trim();
    return cell.dataset.v === "" ? null : Number(cell.dataset.v);
  };
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true }));
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      // Rows without a value stay at the end either way.
      rows.sort((p, q) => {
        const a = key(p, column), b = key(q, column);
        if (a === null || b === null) return (a === null) - (b === null);
        return up ? order(a, b) : order(b, a);
      });
      body.append(...rows);
    });
  });
  const filter = () => {
    const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), kind = $("kind").value;
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((w) => text.includes(w)) || (kind !== "" && !row.dataset.k.split(" ").includes(kind));
      shown += !row.hidden;
    }
    $("shown").textContent = `${shown} of ${rows.length}`;
  };
  $("filter").addEventListener("input", filter);
  $("kind").addEventListener("change", filter);

  // Flame graph: a box grows to the whole width; a second click shows everything again.
  for (const flame of document.querySelectorAll(".flame")) {
    const boxes = [...flame.children];
    let zoomed = null;
    const place = (left, width) => {
      for (const box of boxes) {
        const l = (box.dataset.l - left) / width, w = box.dataset.w / width;
        const from = Math.max(l, 0), to = Math.min(l + w, 1);
        box.style.left = `${100 * from}%`;
        box.style.width = `${100 * Math.max(to - from, 0)}%`;
        box.style.visibility = to - from > 1e-6 ? "" : "hidden";
      }
    };
    for (const box of boxes) {
      box.addEventListener("click", () => {
        zoomed = zoomed === box ? null : box;
        if (zoomed) place(Number(box.dataset.l), Math.max(Number(box.dataset.w), 1e-6));
        else place(0, 1);
      });
    }
  }

  // Charts with axes: read a point, drag to zoom, double-click to see everything again.
  const tip = document.createElement("div");
  tip.id = "tip";
  document.body.append(tip);
  const shown = (value, suffix) => `${Number(value.toPrecision(4))}${suffix ? ` ${suffix}` : ""}`;
  for (const svg of document.querySelectorAll("svg[data-px]")) {
    const [left, top, right, bottom] = svg.dataset.px.split(" ").map(Number);
    const [x0, x1, y0, y1] = svg.dataset.domain.split(" ").map(Number);
    const shapes = [...svg.querySelectorAll("polyline.l:not(.ig), circle.d")].filter((s) => s.tagName === "polyline" || Number(s.getAttribute("cy")) > top - 1);
    const series = shapes.map((s) => (s.tagName === "polyline" ? s.getAttribute("points").split(" ").map((p) => p.split(",").map(Number)) : [[Number(s.getAttribute("cx")), Number(s.getAttribute("cy"))]]));
    const ticks = [...svg.querySelectorAll(".xt")], labels = ticks.map((t) => t.textContent), places = ticks.map((t) => t.getAttribute("x"));
    let view = [left, right];
    const toView = (x) => left + ((x - view[0]) / (view[1] - view[0])) * (right - left);
    const fromView = (x) => view[0] + ((x - left) / (right - left)) * (view[1] - view[0]);
    const value = (x) => x0 + ((x - left) / (right - left)) * (x1 - x0);
    const draw = () => {
      const whole = view[0] === left && view[1] === right;
      shapes.forEach((shape, i) => {
        const inside = (p) => p[0] >= view[0] - 1e-9 && p[0] <= view[1] + 1e-9;
        if (shape.tagName === "polyline") shape.setAttribute("points", series[i].filter(inside).map((p) => `${toView(p[0])},${p[1]}`).join(" "));
        else {
          shape.setAttribute("cx", toView(series[i][0][0]));
          shape.style.display = inside(series[i][0]) ? "" : "none";
        }
      });
      ticks.forEach((tick, i) => {
        const at = left + (i / Math.max(ticks.length - 1, 1)) * (right - left);
        tick.setAttribute("x", whole ? places[i] : at);
        tick.textContent = whole ? labels[i] : String(Number(value(fromView(at)).toPrecision(4)));
      });
      svg.dataset.zoomed = whole ? "" : "yes";
    };
    const at = (event) => {
      const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    };
    let from = null;
    svg.addEventListener("pointerdown", (event) => { from = at(event)[0]; });
    svg.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const ends = [from, at(event)[0]].map((x) => Math.min(Math.max(x, left), right)).sort((a, b) => a - b);
      from = null;
      if (ends[1] - ends[0] < 8) return;
      view = ends.map(fromView);
      draw();
    });
    svg.addEventListener("dblclick", () => { view = [left, right]; draw(); });
    svg.addEventListener("pointerleave", () => { tip.style.display = "none"; from = null; });
    svg.addEventListener("pointermove", (event) => {
      const [mx, my] = at(event);
      let best = null;
      for (const points of series) for (const p of points) {
        const px = toView(p[0]);
        if (px < left - 1 || px > right + 1) continue;
        const distance = (px - mx) ** 2 + ((p[1] - my) / 4) ** 2;
        if (!best || distance < best[0]) best = [distance, p];
      }
      if (!best) return;
      const [px, py] = best[1];
      const y = y0 + ((bottom - py) / (bottom - top)) * (y1 - y0);
      tip.textContent = `${shown(value(px), svg.dataset.x)}: ${shown(y, svg.dataset.y)}`;
      tip.style.display = "block";
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY - 30}px`;
    });
    const hint = document.createElement("p");
    hint.className = "hint";
    hint.textContent = "Drag to zoom, double-click to see all.";
    svg.after(hint);
  }
})();
