/* Draws what the controls choose, from the data that the page carries. */
"use strict";

(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const root = document.documentElement;
  const SERIES = 10; // colors in report.css
  const DASHES = ["solid", "dash", "dot"];
  const UNITS = [
    { name: "days", seconds: 86400 },
    { name: "hours", seconds: 3600 },
    { name: "minutes", seconds: 60 },
    { name: "seconds", seconds: 1 },
  ];
  const ROWS = 11; // of the table beside the curves
  const narrow = matchMedia("(max-width: 40rem)");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const digits = new Intl.NumberFormat("en-US", { maximumSignificantDigits: 4 });
  const written = (number) => digits.format(number).replace("-", "−");

  // What is chosen. Groups are known by their place in data.groups.
  const chosen = { environment: 0, metric: null, axis: null, hidden: new Set(), seeds: false };

  /* ---- small helpers ---- */

  const element = (name, properties = {}, ...children) => {
    const made = Object.assign(document.createElement(name), properties);
    made.append(...children);
    return made;
  };
  // Plotly reads some HTML and "%{...}" in its texts, and these may be a stranger's.
  const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", "{": "&#123;" };
  const plain = (text) => text.replace(/[&<>{]/g, (letter) => ENTITIES[letter]);
  const breakable = (text) =>
    text.split("_").flatMap((part, place) => (place ? ["_", element("wbr"), part] : [part]));
  const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
  const color = (name) => {
    const probe = root.appendChild(element("i"));
    probe.style.color = `var(--${name})`;
    const computed = getComputedStyle(probe).color;
    probe.remove();
    return computed;
  };
  const faded = (rgb, alpha) => rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
  const style = (group) => ({
    color: color(`series-${group.style % SERIES}`),
    dash: DASHES[Math.floor(group.style / SERIES) % DASHES.length],
  });
  const interval = ([value, low, high]) =>
    low === null
      ? written(value)
      : `${written(value)} [${written(low)}, ${written(high)}]`;

  /* ---- what is chosen ---- */

  const environment = () => data.environments[chosen.environment];
  const metric = () => data.metrics.find((one) => one.key === chosen.metric);
  const axis = () => data.axes.find((one) => one.key === chosen.axis);
  const shown = () => environment().groups.filter((index) => !chosen.hidden.has(index));
  /* x, y, low and high of a group's points along the chosen axis; frames are derived from steps. */
  const curve = (index) => {
    const { curves, frames } = data.groups[index];
    const found = curves[chosen.metric]?.[chosen.axis === "time" ? "time" : "steps"];
    return found && { ...found, x: along(found.x, frames) };
  };
  const along = (x, frames) => {
    if (chosen.axis === "frames") return frames ? x.map((step) => step * frames) : [];
    if (chosen.axis === "time") return x.map((seconds) => seconds / unit().seconds);
    return x;
  };
  /* Time is told in the largest unit of which the longest curve is some. */
  const unit = () => {
    const ends = environment().groups.map(
      (index) => data.groups[index].curves[chosen.metric]?.time?.x.at(-1) ?? 0,
    );
    return UNITS.find(({ seconds }) => Math.max(...ends) >= 2 * seconds) ?? UNITS.at(-1);
  };
  const axisLabel = () => axis().label + (chosen.axis === "time" ? ` (${unit().name})` : "");

  /* The address remembers the choice, so that a link or a bookmark leads back to it. */
  const remember = () => {
    const fragment = new URLSearchParams({
      environment: environment().name,
      metric: chosen.metric ?? "",
      x: chosen.axis ?? "",
    });
    try {
      history.replaceState(null, "", `#${fragment}`);
    } catch {
      // Some browsers give pages of files no history; the page works without.
    }
  };
  const recall = () => {
    const fragment = new URLSearchParams(location.hash.slice(1));
    const named = data.environments.findIndex((one) => one.name === fragment.get("environment"));
    chosen.environment = Math.max(named, 0);
    chosen.metric = fragment.get("metric");
    chosen.axis = fragment.get("x");
  };

  /* ---- controls ---- */

  const fillMetrics = () => {
    const keys = environment().metrics;
    if (!keys.includes(chosen.metric)) chosen.metric = keys[0] ?? null;
    byId("metric").replaceChildren(
      ...data.metrics
        .filter((one) => keys.includes(one.key))
        .map((one) => element("option", { value: one.key, textContent: one.label })),
    );
    byId("metric").value = chosen.metric ?? "";
    byId("metric").disabled = keys.length === 0;
  };
  const fillAxes = () => {
    const keys = environment().axes;
    if (!keys.includes(chosen.axis)) chosen.axis = keys[0] ?? null;
    for (const input of document.querySelectorAll("input[name=axis]")) {
      input.disabled = !keys.includes(input.value);
      input.checked = input.value === chosen.axis;
    }
  };
  const paint = (swatch) => {
    const { color: ink, dash } = style({ style: Number(swatch.dataset.style) });
    swatch.classList.toggle("dashed", dash === "dash");
    swatch.classList.toggle("dotted", dash === "dot");
    swatch.style.color = ink;
  };
  const fillGroups = () => {
    const labels = environment().groups.map((index) => {
      const group = data.groups[index];
      const box = element("input", { type: "checkbox", checked: !chosen.hidden.has(index) });
      box.dataset.group = index;
      const swatch = element("span", { className: "swatch", ariaHidden: "true" });
      swatch.dataset.style = group.style;
      const text = element("span", { className: "name" }, ...breakable(group.label));
      const details = [group.facts, group.detail].filter(Boolean).join(" · ");
      text.append(element("small", { className: "detail", title: details, textContent: details }));
      const label = element("label", {}, box, swatch, text);
      label.addEventListener("pointerenter", () => emphasize(index));
      label.addEventListener("pointerleave", () => emphasize(null));
      box.addEventListener("focus", () => box.matches(":focus-visible") && emphasize(index));
      box.addEventListener("blur", () => emphasize(null));
      box.addEventListener("change", () => {
        chosen.hidden[box.checked ? "delete" : "add"](index);
        draw();
      });
      return label;
    });
    byId("groups").replaceChildren(...labels);
  };
  const fillList = (id, texts) => {
    byId(id).replaceChildren(...texts.map((textContent) => element("li", { textContent })));
    byId(id).hidden = !texts.length;
  };
  const fill = () => {
    fillList("warnings", environment().warnings);
    fillList("remarks", environment().remarks);
    byId("environment").value = chosen.environment;
    fillMetrics();
    fillAxes();
    fillGroups();
  };
  /* ---- figures ---- */

  const config = { responsive: true, displayModeBar: false, doubleClick: "reset", showTips: false };
  const layout = (options) => {
    const grid = {
      gridcolor: color("grid"),
      linecolor: color("field"),
      zeroline: false,
      automargin: true,
      fixedrange: narrow.matches, // a finger scrolls the page
      title: { standoff: 12 },
    };
    const spike = { spikecolor: color("field"), spikethickness: 1, spikedash: "solid" };
    return {
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: color("muted") },
      paper_bgcolor: color("card"), // not transparent: hovering takes its colors by contrast with it
      plot_bgcolor: color("card"),
      margin: { l: 56, r: 14, t: 12, b: 48 },
      showlegend: false,
      dragmode: narrow.matches ? false : "zoom",
      hoverlabel: {
        bgcolor: color("card"),
        bordercolor: color("field"),
        font: { color: color("ink"), size: 13 },
        align: "left",
        namelength: 40,
      },
      ...options,
      xaxis: { ...grid, ...(options.hovermode === "x unified" && spike), ...options.xaxis },
      yaxis: { ...grid, ...options.yaxis },
    };
  };
  const line = (index, x, y, more) => {
    const { color: ink, dash } = style(data.groups[index]);
    return {
      type: "scatter",
      mode: x.length > 1 ? "lines" : "markers",
      x,
      y,
      name: plain(data.groups[index].name),
      meta: { group: index },
      line: { color: ink, dash, width: 2.25 },
      marker: { color: ink, size: 8 },
      ...more,
    };
  };
  /* Between low and high, where there is an interval: two traces, the second filled to the first. */
  const band = (index, { x, low, high }) => {
    if (!low) return [];
    const there = x.map((_, place) => place).filter((place) => low[place] !== null);
    const of = (values) => there.map((place) => values[place]);
    const edge = { mode: "lines", hoverinfo: "skip", legendgroup: "bands" };
    const fillcolor = faded(style(data.groups[index]).color, 0.15);
    return [
      line(index, of(x), of(low), { ...edge, line: { width: 0 }, meta: { group: index, band: "low" } }),
      line(index, of(x), of(high), {
        ...edge,
        line: { width: 0 },
        fill: "tonexty",
        fillcolor,
        meta: { group: index, band: "high" },
      }),
    ];
  };
  const seedLines = (index) =>
    data.groups[index].seeds
      .map((run) => ({ ...run, x: chosen.axis === "time" ? run.time : run.steps }))
      .filter((run) => run.x && run.y[chosen.metric])
      .map(({ seed, x, y }) =>
        line(index, along(x, data.groups[index].frames), y[chosen.metric], {
          line: { color: faded(style(data.groups[index]).color, 0.45), width: 1 },
          hoverinfo: "skip",
          meta: { group: index, seed },
        }),
      );
  /* The name in the box too; by default it stands beside, where it has no ground of its own. */
  const hover = (index, values) => {
    const name = plain(shortened(data.groups[index].name, narrow.matches ? 36 : 60));
    return `${name}${narrow.matches ? "<br>" : ":  "}${values}<extra></extra>`;
  };
  const center = (index) => {
    const { x, y, low, high } = curve(index);
    const customdata = low ? low.map((value, place) => [value, high[place]]) : undefined;
    const range = low ? "  [%{customdata[0]:.4~g}, %{customdata[1]:.4~g}]" : "";
    return line(index, x, y, { customdata, hovertemplate: hover(index, `%{y:.4~g}${range}`) });
  };

  const drawCurves = () => {
    const drawn = shown().filter((index) => curve(index)?.x.length);
    const where = environment().name;
    const nothing = !drawn.length;
    byId("curves").hidden = byId("curves-values").hidden = byId("save").hidden = nothing;
    byId("curves-empty").hidden = !nothing;
    if (nothing) {
      byId("curves-empty").textContent = chosen.metric
        ? "No chosen group has a curve of this metric here."
        : "No run here has finished an iteration yet.";
      byId("curves-about").textContent = "";
      byId("status").textContent = `${where}: nothing to draw.`;
      return;
    }
    const traces = [
      ...drawn.flatMap((index) => band(index, curve(index))),
      ...(chosen.seeds ? drawn.flatMap(seedLines) : []),
      ...drawn.map(center),
    ];
    Plotly.react(
      "curves",
      traces,
      layout({
        xaxis: { title: { text: axisLabel(), standoff: 12 }, tickformat: "~s" },
        yaxis: { title: { text: plain(metric().label), standoff: 8 } },
        hovermode: narrow.matches ? "closest" : "x unified",
        uirevision: [chosen.environment, chosen.metric, chosen.axis].join(),
      }),
      config,
    );
    const alone = drawn.filter((index) => !curve(index).low).length;
    const bands =
      alone === 0
        ? "with 95 % bands"
        : alone === drawn.length
          ? "without bands, for which three seeds are needed"
          : "with 95 % bands where there are three seeds or more";
    const groups = drawn.length === 1 ? "one group" : `${drawn.length} groups`;
    const about = `${metric().label} by ${axis().label.toLowerCase()}: the mean over seeds, ${bands}.`;
    byId("curves-about").textContent = about;
    byId("curves").setAttribute("aria-label", `Learning curves of ${groups} in ${where}`);
    byId("status").textContent = `${where}, ${metric().label.toLowerCase()}: ${groups} drawn.`;
    fillTable(drawn);
  };

  /* Some places of the axis, the last among them, and where each curve stands: its last point up to there. */
  const fillTable = (drawn) => {
    const every = [...new Set(drawn.flatMap((index) => curve(index).x))].sort((a, b) => a - b);
    const rows = Math.min(ROWS, every.length);
    const places = Array.from(
      { length: rows },
      (_, row) => every[Math.ceil(((row + 1) * every.length) / rows) - 1],
    );
    const cell = (index, place) => {
      const { x, y, low, high } = curve(index);
      const point = x.findLastIndex((value) => value <= place);
      const ended = point === x.length - 1 && place > x[point] + (x[point] - x[0]) / x.length;
      if (point < 0 || ended) return element("td");
      const range = low ? [`${written(low[point])} to ${written(high[point])}`] : [];
      const ends = element("span", { className: "range" }, ...range);
      return element("td", {}, written(y[point]), ends);
    };
    const head = (textContent) => element("th", { scope: "col", textContent });
    const header = element(
      "tr",
      {},
      head(axisLabel()),
      ...drawn.map((index) => head(data.groups[index].name)),
    );
    const body = places.map((place) =>
      element(
        "tr",
        {},
        element("th", { scope: "row", textContent: written(place) }),
        ...drawn.map((index) => cell(index, place)),
      ),
    );
    byId("curves-table").replaceChildren(element("thead", {}, header), element("tbody", {}, ...body));
  };

  const drawScores = () => {
    const drawn = shown().filter((index) => data.groups[index].score.values.length);
    byId("scores").hidden = !drawn.length;
    byId("scores-empty").hidden = drawn.length > 0;
    byId("scores-empty").textContent = "No chosen group has a final score here.";
    for (const row of document.querySelectorAll("#scores-table tbody tr")) {
      const here = environment().groups.includes(Number(row.dataset.group));
      row.hidden = !here && !byId("everywhere").checked;
    }
    byId("scores-about").textContent = 
      `${environment().score.about} A seed counts once; below each number its 95 % interval.`;
    byId("scores-table").classList.toggle("one", !byId("everywhere").checked);
    if (!drawn.length) return;
    byId("scores").style.height = `${drawn.length * 62 + 52}px`;
    const width = byId("scores").clientWidth;
    const letters = Math.floor(width / 7.5);
    const traces = drawn.flatMap((index, row) => scoreTraces(index, -row));
    const annotations = drawn.map((index, row) => ({
      text: plain(shortened(data.groups[index].name, letters)),
      x: 0,
      xshift: 4,
      xref: "paper",
      xanchor: "left",
      y: -row + 0.34,
      yanchor: "middle",
      showarrow: false,
      font: { color: color("ink"), size: 13.5 },
    }));
    Plotly.react(
      "scores",
      traces,
      layout({
        annotations,
        margin: { l: 8, r: 14, t: 4, b: 44 },
        hovermode: "closest",
        xaxis: { title: { text: plain(environment().score.label), standoff: 10 } },
        yaxis: {
          range: [-drawn.length + 0.42, 0.6],
          tickvals: drawn.map((_, row) => -row - 0.5),
          showticklabels: false,
          showline: false,
          fixedrange: true,
        },
      }),
      config,
    );
    const said = drawn.map((index) => {
      const { name, score } = data.groups[index];
      return `${name}: ${interval(score.iqm ?? score.mean)}`;
    });
    byId("scores").setAttribute(
      "aria-label",
      `Final scores in ${environment().name}, interquartile mean with 95 % interval. ${said.join("; ")}`,
    );
  };
  const scoreTraces = (index, y) => {
    const { score } = data.groups[index];
    const { color: ink } = style(data.groups[index]);
    const traces = [
      {
        type: "scatter",
        mode: "markers",
        x: score.values,
        y: score.values.map(() => y - 0.22),
        marker: { symbol: "line-ns-open", size: 9, color: faded(ink, 0.6), line: { width: 1.5 } },
        text: score.seeds.map((seed) => `seed ${seed}`),
        hovertemplate: "%{x:.5~g}, %{text}<extra></extra>",
        meta: { group: index, statistic: "seeds" },
      },
    ];
    const marks = [
      ["iqm", "Interquartile mean", { symbol: "circle", size: 11, color: ink }, 4, y + 0.02],
      [
        "mean",
        "Mean",
        { symbol: "diamond", size: 9, color: color("card"), line: { color: ink, width: 1.75 } },
        1.5,
        y - 0.22,
      ],
    ];
    for (const [key, called, marker, thickness, height] of marks) {
      if (!score[key]) continue;
      const [value, low, high] = score[key];
      const range = low === null ? "" : "  [%{customdata[0]:.5~g}, %{customdata[1]:.5~g}]";
      traces.push({
        type: "scatter",
        mode: "markers",
        x: [value],
        y: [height],
        marker,
        error_x:
          low === null
            ? undefined
            : {
                type: "data",
                symmetric: false,
                array: [high - value],
                arrayminus: [value - low],
                color: ink,
                thickness,
                width: 0,
              },
        customdata: [[low, high]],
        hovertemplate: `${called} %{x:.5~g}${range}<extra></extra>`,
        meta: { group: index, statistic: key },
      });
    }
    return traces;
  };

  const drawProfiles = (suite, place) => {
    const traces = suite.profiles.flatMap((profile) => {
      const { color: ink, dash } = style(profile);
      const edge = {
        type: "scatter",
        mode: "lines",
        x: profile.x,
        line: { width: 0, shape: "hv" },
        hoverinfo: "skip",
      };
      const fillcolor = faded(ink, 0.13);
      const bands = profile.low
        ? [
            { ...edge, y: profile.low },
            { ...edge, y: profile.high, fill: "tonexty", fillcolor },
          ]
        : [];
      const center = {
        ...edge,
        y: profile.y,
        name: plain(profile.label),
        line: { color: ink, dash, width: 2.25, shape: "hv" },
        hoverinfo: "all",
        hovertemplate: `${plain(profile.label)}:  %{y:.0%}<extra></extra>`,
      };
      return [...bands, center];
    });
    Plotly.react(
      `profiles-${place}`,
      traces,
      layout({
        showlegend: false,
        hovermode: narrow.matches ? "closest" : "x unified",
        xaxis: { title: { text: "Normalized score", standoff: 12 } },
        yaxis: {
          title: { text: "Share of runs above", standoff: 8 },
          tickformat: ".0%",
          range: [0, 1.03],
        },
      }),
      config,
    );
  };

  /* The chosen environment's groups first in mind: the others' descriptions are out of the way. */
  const showGroups = () => {
    for (const card of document.querySelectorAll("details.group")) {
      card.hidden = !environment().groups.includes(Number(card.dataset.group));
    }
  };
  const emphasize = (index) => {
    const drawn = byId("curves").data;
    if (!drawn || byId("curves").hidden) return;
    const opacity = drawn.map((trace) => (index === null || trace.meta.group === index ? 1 : 0.15));
    Plotly.restyle("curves", { opacity });
  };
  const draw = () => {
    drawCurves();
    drawScores();
  };
  const drawAll = () => {
    fill();
    document.querySelectorAll(".swatch").forEach(paint);
    showGroups();
    draw();
    data.across.forEach(drawProfiles);
  };

  /* ---- what the controls do ---- */

  const save = async () => {
    const figure = byId("curves");
    const legend = { orientation: "h", y: -0.2, font: { size: 12 } };
    const picture = {
      data: figure.data.map((trace) => ({
        ...trace,
        showlegend: trace.meta.band === undefined && trace.meta.seed === undefined,
      })),
      layout: {
        ...figure.layout,
        title: { text: plain(environment().name) },
        margin: { l: 70, r: 20, t: 60, b: 60 },
        showlegend: true,
        legend,
      },
    };
    const filename = `${environment().name}-${chosen.metric}`.replace(/[^\w.-]+/g, "_");
    await Plotly.downloadImage(picture, { format: "svg", width: 1000, height: 620, filename });
  };
  const choose = (change) => {
    Object.assign(chosen, change);
    drawAll();
    remember();
  };
  const appearance = (theme) => {
    root.dataset.theme = theme;
    byId("theme").value = theme;
    try {
      localStorage.setItem("dopamine-lite-appearance", theme);
    } catch {
      // Without storage it is chosen anew each time.
    }
  };
  const storedAppearance = () => {
    let stored = null;
    try {
      stored = localStorage.getItem("dopamine-lite-appearance");
    } catch {
      // The same.
    }
    return ["light", "dark"].includes(stored) ? stored : "auto";
  };

  byId("environment").addEventListener("change", (event) =>
    choose({ environment: Number(event.target.value) }),
  );
  byId("metric").addEventListener("change", (event) => choose({ metric: event.target.value }));
  byId("axes").addEventListener("change", (event) => choose({ axis: event.target.value }));
  byId("seeds").addEventListener("change", (event) => choose({ seeds: event.target.checked }));
  byId("everywhere").addEventListener("change", drawScores);
  byId("all").addEventListener("click", () => {
    environment().groups.forEach((index) => chosen.hidden.delete(index));
    drawAll();
  });
  byId("none").addEventListener("click", () => {
    environment().groups.forEach((index) => chosen.hidden.add(index));
    drawAll();
  });
  byId("save").addEventListener("click", save);
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("theme").addEventListener("change", (event) => {
    appearance(event.target.value);
    drawAll();
  });
  narrow.addEventListener("change", drawAll);
  dark.addEventListener("change", drawAll);

  root.classList.add("scripted");
  appearance(storedAppearance());
  recall();
  drawAll();
})();
