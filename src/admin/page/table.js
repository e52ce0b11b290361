// One kind of table for everything: columns are described once, rows are updated in place.

/**
 * Makes a table in `place`. A column has `title`, and `text(item)` or `show(cell, item)`; `num` for
 * numbers, `tone(item)` for `error`, `warning`, `good` or `muted`, `head` for the name of the row.
 * Roles are explicit, because narrow screens show rows as cards, which drops those of tables.
 */
function makeTable(place, label, columns, key, empty) {
  const head = columns.map((column) => h(
    "th", {
      scope: "col", role: "columnheader", class: column.num ? "num" : null,
      "data-label": column.title,
    }, column.title,
  ));
  const body = h("tbody", { role: "rowgroup" });
  const table = h(
    "table", { role: "table", "aria-label": label },
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, ...head)), body,
  );
  const none = h("p", { class: "muted none" });
  place.append(table, none);

  const cellOf = (column) => h(column.head ? "th" : "td", {
    role: column.head ? "rowheader" : "cell", scope: column.head ? "row" : null,
    class: column.num ? "num" : column.wide ? "wide" : null, "data-label": column.title,
  });
  const make = (item) => {
    const row = h("tr", { role: "row" });
    row.cells_ = columns.map(cellOf);
    row.append(...row.cells_);
    columns.forEach((column, at) => column.make?.(row.cells_[at], row));
    row.item = item;
    return row;
  };
  const update = (row, item) => {
    row.item = item;
    columns.forEach((column, at) => {
      const cell = row.cells_[at];
      if (column.show) {
        column.show(cell, item);
      } else if (column.text) {
        setText(cell, column.text(item));
      }
      setAttribute(cell, "data-tone", column.tone?.(item) ?? null);
    });
  };
  return (items, isKnown = true) => {
    table.hidden = items.length === 0;
    none.hidden = items.length > 0;
    setText(none, isKnown ? empty : "? (not known before replication has started)");
    keyed(body, items, key, make, update);
  };
}

/** The tone of a number that should be 0. */
const badAbove0 = (tone) => (number) => (number > 0 ? tone : number === 0 ? "muted" : null);
const isError = badAbove0("error");
const isWarning = badAbove0("warning");

/** The largest lag in seqnos, as `dcp-proxy status` writes it: `40`, `>=40 (12 ?)`, `?`. */
function lagSeqnos(known, unknown) {
  if (known === null || known === undefined) {
    return UNKNOWN;
  }
  return unknown > 0 ? `>=${count(known)} (${count(unknown)} ?)` : count(known);
}

/** A button of a row that begins an action; what it is about is read when it is pressed. */
function actionButton(name, label, values) {
  return (cell, row) => {
    const button = h("button", { type: "button", click: () => begin(name, values(row.item)) });
    button.append(label, "\u2026");
    cell.append(button);
  };
}

/** Several things made in one cell. */
const all = (...makers) => (cell, row) => makers.forEach((make) => make(cell, row));
