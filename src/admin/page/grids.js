// The grids of all buckets, and the search for a vBucket.

/** Makes the grids and the search; `onSelect(bucket, vb)` is called for a choice. */
function makeGrids(onSelect) {
  const grids = new Map();
  const place = byId("grids");
  const select = (bucket, vb) => {
    grids.forEach((grid) => grid.bucket !== bucket && grid.deselect());
    onSelect(bucket, vb);
  };
  const choice = byId("search-bucket");
  const answer = byId("search-answer");
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    const grid = grids.get(choice.value) ?? grids.values().next().value;
    setAttribute(answer, "data-tone", null);
    if (!grid) {
      setText(answer, "there is no bucket yet");
      return;
    }
    try {
      const { vb, says } = findVbucket(byId("search-text").value, grid.states.length);
      setText(answer, `${says}: ${stateWord(grid.states[vb])}`);
      grid.select(vb);
    } catch (error) {
      setAttribute(answer, "data-tone", "error");
      setText(answer, error.message);
    }
  });
  const redraw = () => grids.forEach((grid) => grid.redraw());
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

  const showNames = (buckets) => {
    if (buckets.length !== choice.options.length
      || buckets.some((bucket, at) => choice.options[at].value !== bucket.bucket)) {
      const chosen = choice.value;
      const option = (bucket) => h("option", { value: bucket.bucket }, bucket.bucket);
      choice.replaceChildren(...buckets.map(option));
      choice.value = buckets.some((bucket) => bucket.bucket === chosen)
        ? chosen : buckets[0]?.bucket ?? "";
      choice.hidden = buckets.length < 2;
    }
  };
  const show = (overview) => {
    const make = ({ bucket }) => {
      const grid = new Grid(bucket, select);
      grids.set(bucket, grid);
      grid.element.grid = grid;
      return grid.element;
    };
    keyed(place, overview.buckets, (b) => b.bucket, make, (element, b) => element.grid.show(b));
    for (const bucket of grids.keys()) {
      if (!overview.buckets.some((b) => b.bucket === bucket)) {
        grids.delete(bucket);
      }
    }
    showNames(overview.buckets);
  };
  return { show, statesOf: (bucket) => grids.get(bucket)?.states ?? "" };
}
