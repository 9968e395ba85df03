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

  // A link beside each heading copies its own address.
  for (const link of document.querySelectorAll("a.anchor")) {
    link.addEventListener("click", () => {
      const address = location.href.split("#")[0] + link.getAttribute("href");
      const said = (word) => { link.textContent = word; setTimeout(() => { link.textContent = "#"; }, 1500); };
      if (navigator.clipboard) navigator.clipboard.writeText(address).then(() => said("copied"), () => said("in the address bar"));
    });
  }

  // Table: sort within the groups, filter by words and kind, fold a group.
  const sortAndFilter = (table) => {
    const groups = [...table.tBodies];
    const rowsOf = (group) => [...group.rows].filter((row) => !row.classList.contains("g"));
    const rows = groups.flatMap(rowsOf);
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
        for (const group of groups) {
          // Rows without a value stay at the end either way.
          group.append(...rowsOf(group).sort((p, q) => {
            const a = key(p, column), b = key(q, column);
            if (a === null || b === null) return (a === null) - (b === null);
            return up ? order(a, b) : order(b, a);
          }));
        }
      });
    });
    const filter = () => {
      const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean), kind = $("kind").value;
      const asked = words.length > 0 || kind !== "";
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((w) => text.includes(w)) || (kind !== "" && !row.dataset.k.split(" ").includes(kind));
      }
      let shown = 0;
      for (const group of groups) {
        const found = rowsOf(group).filter((row) => !row.hidden).length;
        group.hidden = found === 0;
        // A filter looks into folded groups too.
        const open = asked || !group.classList.contains("folded");
        group.classList.toggle("closed", !open);
        group.rows[0].querySelector("button").setAttribute("aria-expanded", open);
        shown += open ? found : 0;
      }
      $("shown").textContent = `${shown} of ${rows.length}`;
    };
    for (const group of groups) {
      group.rows[0].querySelector("button").addEventListener("click", () => { group.classList.toggle("folded"); filter(); });
      if (group.dataset.group === "process" && groups.length > 1) group.classList.add("folded");
    }
    $("filter").addEventListener("input", filter);
    $("kind").addEventListener("change", filter);
    filter();
  };
  if ($("all")) sortAndFilter($("all"));

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

  // Charts with axes: read a point, zoom by mouse, buttons or keys, logarithmic view.
  const tip = document.createElement("div");
  tip.id = "tip";
  document.body.append(tip);
  const shown = (value, suffix) => `${Number(value.toPrecision(4))}${suffix ? ` ${suffix}` : ""}`;
  const element = (name, attributes) => {
    const made = document.createElementNS("http" + "://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  };
  const chart = (svg) => {
    const [left, top, right, bottom] = svg.dataset.px.split(" ").map(Number);
    const [x0, x1, y0, y1] = svg.dataset.domain.split(" ").map(Number);
    const fixed = (svg.dataset.log || "").split(" "), logX = fixed.includes("x"), logY = fixed.includes("y");
    const between = (a, b, share, log) => (log ? a * (b / a) ** share : a + share * (b - a));
    const xAt = (px) => between(x0, x1, (px - left) / (right - left), logX);
    const yAt = (py) => between(y0, y1, (bottom - py) / (bottom - top), logY);
    const lines = [...svg.querySelectorAll("polyline.l:not(.ig)")];
    const dots = [...svg.querySelectorAll("circle.d")].filter((dot) => Number(dot.getAttribute("cy")) > top - 1);
    const paths = lines.map((line) => line.getAttribute("points").split(" ").map((p) => p.split(",").map(Number)));
    const spots = dots.map((dot) => [Number(dot.getAttribute("cx")), Number(dot.getAttribute("cy"))]);
    const all = paths.flat().concat(spots);
    const ticks = [...svg.querySelectorAll(".xt")], labels = ticks.map((t) => t.textContent), places = ticks.map((t) => t.getAttribute("x"));
    const linearMarks = [...svg.querySelectorAll(".yt, .ig")];
    let view = [left, right], log = false, logMarks = [];
    const toView = (px) => left + ((px - view[0]) / (view[1] - view[0])) * (right - left);
    const fromView = (px) => view[0] + ((px - left) / (right - left)) * (view[1] - view[0]);
    const heights = all.map((p) => yAt(p[1])), lowest = Math.min(...heights), highest = Math.max(...heights);
    const mayLog = lines.length > 0 && !logY && lowest > 0 && highest / lowest > 1.5;
    const [l0, l1] = [lowest / 1.05, highest * 1.05];
    const toLog = (value) => bottom - (Math.log(value / l0) / Math.log(l1 / l0)) * (bottom - top);
    const height = (py) => (log ? toLog(yAt(py)) : py);
    // The part of a path inside the view, cut at its edges.
    const clipped = (points) => {
      const out = [], inside = (p) => p[0] >= view[0] - 1e-9 && p[0] <= view[1] + 1e-9;
      points.forEach((p, i) => {
        const q = points[i - 1];
        if (q && q[0] !== p[0]) {
          const cuts = view.filter((edge) => (edge - q[0]) * (edge - p[0]) < 0);
          if (q[0] > p[0]) cuts.reverse();
          for (const edge of cuts) out.push([edge, q[1] + ((edge - q[0]) / (p[0] - q[0])) * (p[1] - q[1])]);
        }
        if (inside(p)) out.push(p);
      });
      return out;
    };
    const markLog = () => {
      for (const mark of logMarks) mark.remove();
      logMarks = [];
      for (const mark of linearMarks) mark.style.display = log ? "none" : "";
      if (!log) return;
      let values = [];
      for (let e = Math.floor(Math.log10(l0)); e <= Math.ceil(Math.log10(l1)); e += 1) for (const f of [1, 2, 5]) values.push(f * 10 ** e);
      values = values.filter((v) => v >= l0 && v <= l1);
      if (values.length > 8) values = values.filter((v) => Math.abs(Math.log10(v) % 1) < 1e-9);
      if (values.length < 2) values = [lowest, Math.sqrt(lowest * highest), highest];
      for (const value of values) {
        const y = toLog(value);
        const line = element("polyline", { class: "l ig", points: `${left},${y} ${right},${y}` });
        const text = element("text", { class: "im", x: left - 8, y, "font-size": 12, "text-anchor": "end" });
        text.textContent = String(Number(value.toPrecision(3)));
        logMarks.push(line, text);
        svg.prepend(line);
        svg.append(text);
      }
    };
    const draw = () => {
      const whole = view[0] === left && view[1] === right;
      lines.forEach((line, i) => line.setAttribute("points", clipped(paths[i]).map((p) => `${toView(p[0])},${height(p[1])}`).join(" ")));
      dots.forEach((dot, i) => {
        const [px, py] = spots[i];
        dot.setAttribute("cx", toView(px));
        dot.setAttribute("cy", height(py));
        dot.style.display = px >= view[0] - 1e-9 && px <= view[1] + 1e-9 ? "" : "none";
      });
      ticks.forEach((tick, i) => {
        const at = left + (i / Math.max(ticks.length - 1, 1)) * (right - left);
        tick.setAttribute("x", whole ? places[i] : at);
        tick.textContent = whole ? labels[i] : String(Number(xAt(fromView(at)).toPrecision(4)));
      });
      svg.dataset.zoomed = whole ? "" : "yes";
    };
    const see = (from, to) => {
      const width = Math.min(Math.max(to - from, (right - left) / 1e4), right - left);
      from = Math.min(Math.max(from, left), right - width);
      view = width === right - left ? [left, right] : [from, from + width];
      draw();
    };
    const zoom = (factor) => {
      const middle = (view[0] + view[1]) / 2, half = ((view[1] - view[0]) / 2) * factor;
      see(middle - half, middle + half);
    };
    const pan = (share) => { const by = share * (view[1] - view[0]); see(view[0] + by, view[1] + by); };
    const reset = () => see(left, right);
    const buttons = {};
    const toggle = () => {
      if (!mayLog) return;
      log = !log;
      svg.dataset.logView = log ? "yes" : "";
      buttons.log.setAttribute("aria-pressed", log);
      markLog();
      draw();
    };
    const at = (event) => {
      const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
      return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    };
    const held = (x) => Math.min(Math.max(x, left), right);
    const selection = element("rect", { class: "sel", y: top, height: bottom - top, width: 0, x: left });
    svg.append(selection);
    let from = null;
    svg.addEventListener("pointerdown", (event) => { from = at(event)[0]; });
    svg.addEventListener("pointerup", (event) => {
      if (from === null) return;
      const ends = [from, at(event)[0]].map(held).sort((a, b) => a - b);
      from = null;
      selection.setAttribute("width", 0);
      if (ends[1] - ends[0] >= 8) see(...ends.map(fromView));
    });
    svg.addEventListener("dblclick", reset);
    svg.addEventListener("pointerleave", () => { tip.style.display = "none"; from = null; selection.setAttribute("width", 0); });
    svg.addEventListener("pointermove", (event) => {
      const [mx, my] = at(event);
      if (from !== null) {
        const ends = [from, mx].map(held).sort((a, b) => a - b);
        selection.setAttribute("x", ends[0]);
        selection.setAttribute("width", ends[1] - ends[0]);
      }
      let best = null;
      for (const p of all) {
        const px = toView(p[0]);
        if (px < left - 1 || px > right + 1) continue;
        const distance = (px - mx) ** 2 + ((height(p[1]) - my) / 4) ** 2;
        if (!best || distance < best[0]) best = [distance, p];
      }
      if (!best) return;
      const [px, py] = best[1];
      tip.textContent = `${shown(xAt(px), svg.dataset.x)}: ${shown(yAt(py), svg.dataset.y)}`;
      tip.style.display = "block";
      tip.style.left = `${Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8)}px`;
      tip.style.top = `${event.clientY - 30}px`;
    });
    const keys = { ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: reset, Escape: reset, l: toggle };
    svg.setAttribute("tabindex", "0");
    svg.setAttribute("aria-keyshortcuts", "+ - 0 l ArrowLeft ArrowRight");
    svg.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
      event.preventDefault();
      keys[event.key]();
    });
    const controls = document.createElement("div");
    controls.className = "controls";
    const add = (name, text, label, action) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = text;
      button.title = label;
      button.setAttribute("aria-label", `${label}: ${svg.getAttribute("aria-label")}`);
      button.addEventListener("click", action);
      buttons[name] = button;
      controls.append(button);
    };
    add("in", "+", "Zoom in", () => zoom(0.5));
    add("out", "−", "Zoom out", () => zoom(2));
    add("reset", "All", "Show everything", reset);
    if (mayLog) {
      add("log", "Log", "Logarithmic view", toggle);
      buttons.log.setAttribute("aria-pressed", "false");
    }
    const hint = document.createElement("span");
    hint.textContent = "Drag to zoom, or focus the chart and use + − ← → 0";
    controls.append(hint);
    svg.after(controls);
  };
  document.querySelectorAll("svg[data-px]").forEach(chart);

  // On paper everything stands open.
  addEventListener("beforeprint", () => { for (const part of document.querySelectorAll("details")) part.open = true; });
})();
