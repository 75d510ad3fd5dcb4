// Draws the charts, and shows what the reader chooses. All texts are set as text, never as HTML.
"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const find = (id) => document.getElementById(id);

  function element(name, text, attributes) {
    const made = Object.assign(document.createElement(name), attributes);
    if (text !== undefined) made.textContent = text;
    return made;
  }

  function fill(select, values, labels = values) {
    fillGrouped(select, values.map((value, place) => ({ value, label: labels[place] })));
  }

  // Options with a `group` stand below its name.
  function fillGrouped(select, choices) {
    const before = select.value;
    const groups = new Map();
    select.replaceChildren();
    for (const { value, label, group } of choices) {
      if (group && !groups.has(group)) {
        groups.set(group, element("optgroup", undefined, { label: group }));
        select.append(groups.get(group));
      }
      (groups.get(group) ?? select).append(element("option", label, { value }));
    }
    if (choices.some((choice) => choice.value === before)) select.value = before;
  }

  function fillTable(table, names, rows) {
    const head = element("tr");
    head.append(...names.map((name) => element("th", name, { scope: "col" })));
    const lines = rows.map((cells) => {
      const line = element("tr");
      line.append(...cells.map((cell) => {
        if (cell instanceof Node) return cell;
        const number = typeof cell === "number";
        return element("td", cell === null ? "–" : String(cell), { className: number ? "number" : "" });
      }));
      return line;
    });
    const [thead, tbody] = [element("thead"), element("tbody")];
    thead.append(head);
    tbody.append(...lines);
    table.replaceChildren(thead, tbody);
  }

  const distinct = (values) => [...new Set(values)];

  // Charts. Their colours are those of the page, so they follow its light and dark mode.
  const ink = "currentColor";
  const narrow = window.innerWidth < 640;
  const options = {
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false,
    tooltip: { disableDefaultStyle: true },
    logLevel: 1, // Errors alone: hidden curves have no extent, which is no reason for a warning.
    config: {
      background: null,
      view: { stroke: null },
      autosize: { type: "fit-x", contains: "padding" },
      axis: {
        labelColor: ink, titleColor: ink, domainColor: ink, tickColor: ink, gridColor: "var(--grid)",
        labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal",
      },
      legend: {
        orient: "bottom", labelColor: ink, titleColor: ink, labelFontSize: 12,
        labelLimit: narrow ? 280 : 0, symbolOpacity: 1, columns: narrow ? 1 : 2,
      },
    },
  };

  // Vega gives a group without marks a role and no name, which is nothing for a screen reader.
  function hideEmptyGroups(place) {
    for (const group of place.querySelectorAll("g.role-mark[role]")) {
      if (group.children.length) group.removeAttribute("aria-hidden");
      else group.setAttribute("aria-hidden", "true");
    }
  }

  async function draw(place, spec) {
    const { view } = await vegaEmbed(place, spec, options);
    hideEmptyGroups(place);
    return view;
  }

  async function drawFigures() {
    const box = find("paper");
    if (box) box.checked = Object.values(data.charts).some((spec) => spec.params[0].value);
    const views = await Promise.all(
      [...document.querySelectorAll("[data-chart]")].map((place) => draw(place, data.charts[place.dataset.chart])),
    );
    if (box) {
      box.addEventListener("change", () => {
        for (const view of views) {
          view.signal("paper", box.checked).runAsync().then(() => hideEmptyGroups(view.container()));
        }
      });
    }
  }

  function filterClaims() {
    const select = find("verdict");
    select.addEventListener("change", () => {
      for (const item of document.querySelectorAll("[data-verdict]")) {
        item.hidden = select.value !== "" && item.dataset.verdict !== select.value;
      }
    });
  }

  function pointsOf(curves, metric) {
    return curves.flatMap((curve) => curve.steps.map((step, place) => ({
      run: curve.run, setting: curve.setting, line: `seed ${curve.seed}`, step, runs: 1,
      value: curve[metric][place], selected: step === curve.selected ? "yes" : "",
    }))).filter((point) => point.value !== null);
  }

  // The means over the runs of each setting, at each step.
  function meansOf(points) {
    const groups = new Map();
    for (const point of points) {
      const key = JSON.stringify([point.setting, point.step]);
      groups.set(key, [...(groups.get(key) ?? []), point]);
    }
    return [...groups.values()].map((group) => {
      const total = group.reduce((sum, point) => sum + point.value, 0);
      const { setting, step } = group[0];
      return { line: setting, step, runs: group.length, value: Number((total / group.length).toFixed(3)), selected: "" };
    });
  }

  function curveSpec(points, metric) {
    const spec = structuredClone(data.curve_chart);
    const steps = distinct(points.map((point) => point.step));
    spec.encoding.x.axis = steps.length > 8 ? { tickCount: 8 } : { values: steps };
    spec.encoding.y.title = metric;
    const rows = points.map((point) => ({ ...point, text: `${point.line}, step ${point.step}: ${point.value}` }));
    return { ...spec, datasets: { rows } };
  }

  function browseCurves() {
    const chart = find("curve-chart");
    if (!chart) return undefined;
    const all = "all settings, mean over seeds";
    const keys = ["method", "size", "task", "setting"];
    const selects = Object.fromEntries([...keys, "metric"].map((key) => [key, find(`curve-${key}`)]));

    // The chart is drawn with data, as the axes of an empty chart have no extent.
    function update() {
      // Each choice leaves those after it only what exists.
      let chosen = data.curves;
      for (const key of keys) {
        const values = distinct(chosen.map((curve) => curve[key]));
        fill(selects[key], key === "setting" && values.length > 1 ? [...values, all] : values);
        const value = selects[key].value;
        if (value !== all) chosen = chosen.filter((curve) => curve[key] === value);
      }
      const known = (metric) => chosen.some((curve) => curve[metric].some((value) => value !== null));
      fill(selects.metric, ["score", "loss"].filter(known));
      const metric = selects.metric.value;
      const points = pointsOf(chosen, metric);
      const rows = points.map((point) => [point.run, point.step, point.value, point.selected]);
      fillTable(find("curve-table"), ["Run", "Step", metric, "Selected"], rows);
      const settings = distinct(chosen.map((curve) => curve.setting)).length;
      const of = settings > 1 ? `${settings} settings, ` : "";
      find("curve-status").textContent = `${of}${chosen.length} runs with ${points.length} evaluations.`;
      return draw(chart, curveSpec(settings > 1 ? meansOf(points) : points, metric));
    }

    for (const select of Object.values(selects)) select.addEventListener("change", update);
    return update();
  }

  function browseAnswers() {
    const list = find("answer-list");
    if (!list) return;
    const names = ["task", "first", "second", "outcome"];
    const [task, first, second, outcome] = names.map((name) => find(`answer-${name}`));
    const search = find("answer-search");
    const none = "none";
    fill(task, Object.keys(data.answers));

    function badge(kind) {
      const cell = element("span", kind, { className: "outcome" });
      cell.dataset.kind = kind;
      return cell;
    }

    function item(of, place, runs) {
      const [id, inputs, targets] = of.examples[place];
      const parts = element("dl");
      parts.append(element("dt", "Input"), element("dd", inputs), element("dt", "Target"), element("dd", targets));
      for (const [letter, run] of runs) {
        const cell = element("dd", `${of.texts[run.answers[place]] || "(empty)"} `);
        cell.append(badge(data.outcomes[run.outcomes[place]]));
        parts.append(element("dt", `Run ${letter}`), cell);
      }
      const made = element("li", undefined, { id: `example-${id}` });
      made.append(parts);
      return made;
    }

    function admits(of, place, a, b) {
      const wanted = outcome.value;
      const given = data.outcomes[a.outcomes[place]];
      if (wanted === "differ" && (!b || a.answers[place] === b.answers[place])) return false;
      if (data.outcomes.includes(wanted) && given !== wanted) return false;
      const texts = [...of.examples[place], of.texts[a.answers[place]], b ? of.texts[b.answers[place]] : ""];
      return texts.join("\n").toLowerCase().includes(search.value.toLowerCase());
    }

    function update() {
      const of = data.answers[task.value];
      const runs = of.runs.map(({ name, label, group }) => ({ value: name, label, group }));
      fillGrouped(first, runs);
      fillGrouped(second, [{ value: none, label: none }, ...runs]);
      const kinds = ["", ...data.outcomes, "differ"];
      fill(outcome, kinds, ["all", ...data.outcomes.map((kind) => `A is ${kind}`), "A and B differ"]);
      const pairs = [["A", first.value], ["B", second.value]].filter(([, name]) => name !== none);
      const chosen = pairs.map(([letter, name]) => [letter, of.runs.find((run) => run.name === name)]);
      const counts = chosen.map(([letter, run]) => [`Run ${letter}`, run.name, ...run.counts]);
      fillTable(find("answer-counts"), ["Run", "Name", ...data.outcomes], counts);
      const [a, b] = chosen.map(([, run]) => run);
      const places = of.examples.map((_, place) => place).filter((place) => admits(of, place, a, b));
      list.replaceChildren(...places.map((place) => item(of, place, chosen)));
      find("answer-status").textContent = of.examples.length
        ? `${places.length} of ${of.examples.length} examples are shown.`
        : "These results have no texts of predictions, only their counts.";
    }

    for (const select of [task, first, second, outcome]) select.addEventListener("change", update);
    search.addEventListener("input", update);
    update();
  }

  function browseNeighbours() {
    const table = find("neighbour-table");
    if (!table) return;
    const keys = ["size", "task", "initialization"];
    const selects = keys.map((key) => find(`neighbour-${key}`));

    function pieces(listed) {
      const cell = element("td");
      listed.forEach(([piece, cosine, ofLabel], place) => {
        if (place) cell.append(", ");
        cell.append(element(ofLabel ? "b" : "span", piece), ` ${cosine.toFixed(2)}`);
      });
      return cell;
    }

    function update() {
      let chosen = data.neighbours;
      keys.forEach((key, place) => {
        fill(selects[place], distinct(chosen.map((prompt) => prompt[key])));
        chosen = chosen.filter((prompt) => prompt[key] === selects[place].value);
      });
      const [prompt] = chosen;
      const rows = prompt.tokens.map(([label, listed], row) => [row, label, pieces(listed)]);
      fillTable(table, ["Token", "Started with", "Nearest neighbours"], rows);
      find("neighbour-status").textContent = `The prompt of seed ${prompt.seed} has ${rows.length} tokens.`;
    }

    for (const select of selects) select.addEventListener("change", update);
    update();
  }

  // A link to a table inside a closed part opens it.
  function openTarget() {
    const target = location.hash && find(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  }

  filterClaims();
  browseAnswers();
  browseNeighbours();
  openTarget();
  window.addEventListener("hashchange", openTarget);
  Promise.all([drawFigures(), browseCurves()]).then(() => {
    document.body.dataset.drawn = "yes";
  });
})();
