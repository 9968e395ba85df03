(() => {
  const result = {};
  const rows = () => [...document.querySelectorAll("#all tbody tr:not(.g)")];
  const first = () => rows().filter((r) => r.parentElement.dataset.group === "main");
  const step = (name, action) => { try { result[name] = action(); } catch (error) { result[name] = "threw " + error; } };
  step("sort", () => {
    document.querySelectorAll("#all th button")[0].click();
    const names = first().map((r) => r.cells[0].textContent.trim());
    return String(names.every((n, i) => i === 0 || names[i - 1].localeCompare(n, "en", { numeric: true }) <= 0));
  });
  step("sort_numbers", () => {
    document.querySelectorAll("#all th button")[2].click();
    const values = first().map((r) => r.cells[2].dataset.v).filter((v) => v !== "").map(Number);
    return String(values.length > 5 && values.every((v, i) => i === 0 || values[i - 1] <= v));
  });
  step("filter", () => {
    const box = document.getElementById("filter");
    box.value = "render";
    box.dispatchEvent(new Event("input"));
    const shown = rows().filter((r) => !r.hidden);
    return String(shown.length > 0 && shown.length < rows().length && shown.every((r) => r.textContent.includes("render")));
  });
  step("kind", () => {
    const box = document.getElementById("filter");
    box.value = "";
    box.dispatchEvent(new Event("input"));
    const kind = document.getElementById("kind");
    kind.value = "miss";
    kind.dispatchEvent(new Event("change"));
    const found = rows().filter((r) => !r.hidden).length;
    kind.value = "";
    kind.dispatchEvent(new Event("change"));
    return String(found);
  });
  step("theme", () => {
    const before = getComputedStyle(document.body).backgroundColor;
    document.getElementById("theme").click();
    return String(before !== getComputedStyle(document.body).backgroundColor);
  });
  step("zoom", () => {
    const svg = document.querySelector("svg[data-px]"), box = svg.getBoundingClientRect();
    const line = svg.querySelector("polyline.l:not(.ig)"), before = line.getAttribute("points");
    const at = (type, share) => svg.dispatchEvent(new PointerEvent(type, { bubbles: true, clientX: box.left + share * box.width, clientY: box.top + box.height / 2 }));
    at("pointerdown", 0.3); at("pointermove", 0.5); at("pointerup", 0.6);
    const zoomed = line.getAttribute("points") !== before && svg.dataset.zoomed === "yes";
    svg.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
    return String(zoomed && line.getAttribute("points").split(" ").length === before.split(" ").length);
  });
  step("log", () => {
    const figure = [...document.querySelectorAll("figure")].find((f) => f.querySelector("[aria-pressed]"));
    const svg = figure.querySelector("svg"), button = figure.querySelector("[aria-pressed]");
    const line = svg.querySelector("polyline.l:not(.ig)"), before = line.getAttribute("points");
    button.click();
    const changed = line.getAttribute("points") !== before && svg.dataset.logView === "yes";
    button.click();
    return String(changed && button.getAttribute("aria-pressed") === "false" && svg.querySelectorAll("[style*=none]").length === 0);
  });
  step("keys", () => {
    const svg = document.querySelector("svg[data-px]");
    const press = (key) => svg.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    press("+");
    const zoomed = svg.dataset.zoomed;
    press("ArrowRight");
    press("0");
    return `${zoomed}${svg.dataset.zoomed}`;
  });
  step("fold", () => {
    const group = document.querySelector("#all tbody[data-group=process]"), button = group.querySelector("button");
    const hidden = () => getComputedStyle(group.rows[1]).display === "none";
    const before = hidden();
    button.click();
    const after = hidden();
    button.click();
    return `${before},${after}`;
  });
  step("flame", () => {
    const box = [...document.querySelectorAll(".flame button")].find((b) => b.dataset.w < 0.9 && b.dataset.w > 0.05);
    const before = box.style.width;
    box.click();
    const wide = parseFloat(box.style.width);
    box.click();
    return String(wide > 99 && Math.abs(parseFloat(box.style.width) - parseFloat(before)) < 0.1);
  });
  step("overflow", () => String(document.documentElement.scrollWidth - innerWidth));
  step("requests", () => String(performance.getEntriesByType("resource").length));
  step("errors", () => String(window.__errors.length === 0 ? "none" : window.__errors.join("; ")));
  const out = document.createElement("pre");
  out.id = "result";
  out.textContent = Object.entries(result).map(([name, value]) => `[${name}=${value}]`).join("");
  document.body.append(out);
})();
