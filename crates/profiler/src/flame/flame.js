(function () {
  "use strict";
  var svg = document.currentScript.closest("svg");
  var number = function (name) { return Number(svg.getAttribute("data-" + name)); };
  var left = number("left"), wide = number("width"), top = number("top"), row = number("row");
  var rows = number("rows"), foot = svg.querySelector(".foot");
  var letter = 6.7, least = 1e-9, zoomed = null, current = null, turned = false, words = "";
  var asked = "";
  var boxes = Array.from(svg.querySelectorAll("g.f")).map(function (g) {
    var get = function (name) { return Number(g.getAttribute("data-" + name)); };
    return {
      g: g, x: get("x"), w: get("w"), d: get("d"), name: g.getAttribute("data-n"),
      rect: g.querySelector("rect"), text: g.querySelector("text"),
      hint: g.querySelector("title").textContent, fill: g.querySelector("rect").getAttribute("fill")
    };
  });
  var inside = function (a, b) {
    return a.x + least >= b.x ? b.x + b.w + least >= a.x + a.w : false;
  };
  var say = function (text) { foot.textContent = text; };
  var matches = function (box) {
    return words ? box.name.toLowerCase().indexOf(words) > -1 : false;
  };
  var draw = function () {
    var from = zoomed ? zoomed.x : 0, width = zoomed ? zoomed.w : 1;
    boxes.forEach(function (box) {
      var above = zoomed ? (zoomed.d > box.d ? inside(zoomed, box) : false) : false;
      var seen = zoomed ? (above ? true : (box.d >= zoomed.d ? inside(box, zoomed) : false)) : true;
      box.g.style.display = seen ? "" : "none";
      if (!seen) { return; }
      var x = above ? 0 : (box.x - from) / width, w = above ? 1 : box.w / width;
      var px = left + x * wide, pw = w * wide;
      var y = top + (turned ? rows - 1 - box.d : box.d) * row;
      box.rect.setAttribute("x", px.toFixed(2));
      box.rect.setAttribute("width", Math.max(pw, 0.1).toFixed(2));
      box.rect.setAttribute("y", y);
      box.rect.setAttribute("fill", matches(box) ? "#e600e6" : box.fill);
      box.rect.setAttribute("opacity", above ? 0.5 : 1);
      box.rect.setAttribute("stroke", box === current ? "#000000" : "#ffffff");
      box.rect.setAttribute("stroke-width", box === current ? 1.5 : 0.5);
      box.text.setAttribute("x", (px + 4).toFixed(2));
      box.text.setAttribute("y", y + 12.5);
      var room = Math.floor((pw - 8) / letter), name = box.name;
      box.text.textContent = name.length > room
        ? (room > 2 ? name.slice(0, room - 1) + "\u2026" : "") : name;
    });
  };
  var found = function () {
    if (!words) { say(""); return; }
    // A box inside another one that matches is counted with it.
    var hits = boxes.filter(matches);
    var outer = hits.filter(function (box) {
      return !hits.some(function (other) { return box.d > other.d ? inside(box, other) : false; });
    });
    var share = outer.reduce(function (sum, box) { return sum + box.w; }, 0);
    say("\u201c" + asked + "\u201d: " + hits.length + " boxes, " + (share * 100).toFixed(1) + " %");
  };
  var zoom = function (box) { zoomed = box === zoomed ? null : box; current = box; draw(); };
  var point = function (box) { if (box) { current = box; say(box.hint); draw(); } };
  var search = function () {
    var answer = window.prompt("Functions whose name holds:", asked);
    if (answer === null) { return; }
    asked = answer.trim();
    words = asked.toLowerCase();
    draw();
    found();
  };
  var turn = function () { turned = !turned; draw(); };
  var reset = function () { zoomed = null; words = ""; current = null; say(""); draw(); };
  var shown = function () {
    return boxes.filter(function (box) { return box.g.style.display !== "none"; });
  };
  var step = function (down, over) {
    var list = shown();
    if (!current) { point(list[0]); return; }
    if (down > 0) {
      point(list.find(function (b) { return b.d === current.d + 1 ? inside(b, current) : false; }));
    } else if (0 > down) {
      point(list.find(function (b) { return b.d === current.d - 1 ? inside(current, b) : false; }));
    } else {
      var level = list.filter(function (b) { return b.d === current.d; });
      level.sort(function (a, b) { return a.x - b.x; });
      point(level[level.indexOf(current) + over]);
    }
  };
  boxes.forEach(function (box) {
    box.g.style.cursor = "pointer";
    box.g.addEventListener("click", function () { zoom(box); });
    box.g.addEventListener("mouseenter", function () { say(box.hint); });
    box.g.addEventListener("mouseleave", function () { words ? found() : say(""); });
  });
  var buttons = [["search (/)", search], ["turn (i)", turn], ["reset (Esc)", reset]];
  var right = left + wide;
  buttons.reverse().forEach(function (pair) {
    var text = foot.cloneNode(false);
    text.removeAttribute("class");
    text.textContent = pair[0];
    right -= pair[0].length * letter + 14;
    text.setAttribute("x", right);
    text.setAttribute("y", 21);
    text.setAttribute("fill", "#0b57d0");
    text.style.cursor = "pointer";
    text.addEventListener("click", pair[1]);
    svg.appendChild(text);
  });
  svg.addEventListener("keydown", function (event) {
    var keys = {
      "/": search, i: turn, Escape: reset,
      Enter: function () { if (current) { zoom(current); } },
      ArrowDown: function () { step(turned ? -1 : 1, 0); },
      ArrowUp: function () { step(turned ? 1 : -1, 0); },
      ArrowLeft: function () { step(0, -1); }, ArrowRight: function () { step(0, 1); }
    };
    var act = event.ctrlKey ? null : event.metaKey ? null : event.altKey ? null : keys[event.key];
    if (act) { event.preventDefault(); act(); }
  });
  if (svg === document.documentElement) { svg.focus(); }
  draw();
}());
