//! What stands where on a terminal of a size. Pure.

use ratatui_core::layout::Rect;

use super::keys::Panel;

/// From this size on several panels are shown at the same time.
const WIDE_COLUMNS: u16 = 104;
const WIDE_ROWS: u16 = 28;
/// From this width on a row of the grid has 128 vBuckets.
const GRID_WIDE_COLUMNS: u16 = 190;
/// The number of the first vBucket of a row, and a space.
pub(super) const GRID_LABEL: u16 = 5;
/// The most vBuckets in a row.
const GRID_ROW_MAX: u16 = 128;
/// From this height on the events stand below the chosen panel.
const TALL_ROWS: u16 = 34;
const TALL_EVENTS: u16 = 10;
/// The most rows of the table of buckets.
const BUCKETS_MAX: u16 = 5;

/// Besides the links: a title, the names of the columns, and two lines for an error.
const LINKS_MORE: u16 = 4;
/// Besides the rows of the grid: a title, and two lines for the legend.
const GRID_MORE: u16 = 3;
/// Beside the grid, where it is a small one.
const NODES_ROWS: u16 = 8;
const EVENTS_MIN: u16 = 5;

/// A place on the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Place {
    Head,
    /// What is wrong.
    Problems,
    Buckets,
    Panel(Panel),
    Detail,
    Foot,
}

/// How much there is to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Amounts {
    /// Lines of what is wrong.
    pub(super) problems: u16,
    pub(super) buckets: u16,
    pub(super) links: u16,
    /// Of the bucket in the grid.
    pub(super) vbuckets: u16,
}

/// Whether several panels are shown.
pub(super) const fn is_wide((columns, rows): (u16, u16)) -> bool {
    columns >= WIDE_COLUMNS && rows >= WIDE_ROWS
}

/// How many vBuckets a row of the grid has.
pub(super) fn grid_row(size: (u16, u16)) -> u16 {
    let room = match size {
        (GRID_WIDE_COLUMNS.., _) => GRID_ROW_MAX,
        (columns, _) if is_wide(size) => columns.min(GRID_ROW_MAX / 2),
        (columns, _) => columns.saturating_sub(GRID_LABEL).min(GRID_ROW_MAX),
    };
    // A power of two, so that the numbers of the rows are even ones.
    room.checked_ilog2().map_or(1, |power| 1 << power)
}

/// The places, without those that have no room.
pub(super) fn places(
    size: (u16, u16),
    panel: Panel,
    is_detail: bool,
    amounts: Amounts,
) -> Vec<(Place, Rect)> {
    let (columns, rows) = size;
    let mut rest = Rect::new(0, 0, columns, rows);
    let mut places = vec![(Place::Head, top(&mut rest, 1))];
    let foot = bottom(&mut rest, u16::from(rows >= 5));
    let problems = amounts.problems.min((rows / 4).max(1));
    places.push((Place::Problems, top(&mut rest, problems)));
    if rest.height >= 8 {
        let buckets = amounts.buckets.min(BUCKETS_MAX) + 1;
        places.push((Place::Buckets, top(&mut rest, buckets)));
    }
    if is_wide(size) {
        wide(&mut places, rest, size, panel, is_detail, amounts);
    } else {
        narrow(&mut places, rest, panel, is_detail, amounts);
    }
    places.push((Place::Foot, foot));
    places.retain(|(_, area)| area.width > 0 && area.height > 0);
    places
}

fn narrow(
    places: &mut Vec<(Place, Rect)>,
    mut rest: Rect,
    panel: Panel,
    is_detail: bool,
    amounts: Amounts,
) {
    let place = if is_detail { Place::Detail } else { Place::Panel(panel) };
    if place == Place::Panel(Panel::Links) {
        // Few links leave room for more.
        let links = top(&mut rest, amounts.links.saturating_add(LINKS_MORE));
        places.push((place, links));
        if rest.height >= TALL_ROWS - TALL_EVENTS {
            let grid = rest.height - TALL_EVENTS;
            places.push((Place::Panel(Panel::Grid), top(&mut rest, grid)));
        }
        places.push((Place::Panel(Panel::Events), rest));
        return;
    }
    let has_events = rest.height >= TALL_ROWS && panel != Panel::Events;
    let events = bottom(&mut rest, if has_events { TALL_EVENTS } else { 0 });
    places.push((place, rest));
    places.push((Place::Panel(Panel::Events), events));
}

fn wide(
    places: &mut Vec<(Place, Rect)>,
    mut rest: Rect,
    size: (u16, u16),
    panel: Panel,
    is_detail: bool,
    amounts: Amounts,
) {
    let links = amounts.links.saturating_add(LINKS_MORE).min(rest.height / 3);
    places.push((Place::Panel(Panel::Links), top(&mut rest, links)));
    let rows = amounts.vbuckets.div_ceil(grid_row(size)).max(NODES_ROWS) + GRID_MORE;
    let events = rest.height.saturating_sub(rows).max(EVENTS_MIN);
    let events = bottom(&mut rest, events);
    let mut grid = left(&mut rest, grid_row(size) + GRID_LABEL + 1);
    // A column between both.
    grid.width = grid.width.saturating_sub(1);
    let side = match panel {
        _ if is_detail => Place::Detail,
        Panel::Moves | Panel::Nodes | Panel::Problems => Place::Panel(panel),
        Panel::Links | Panel::Grid | Panel::Events => Place::Panel(Panel::Nodes),
    };
    places.push((Place::Panel(Panel::Grid), grid));
    places.push((side, rest));
    places.push((Place::Panel(Panel::Events), events));
}

fn top(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    let part = Rect { height: rows, ..*rest };
    *rest = Rect { y: rest.y + rows, height: rest.height - rows, ..*rest };
    part
}

fn bottom(rest: &mut Rect, rows: u16) -> Rect {
    let rows = rows.min(rest.height);
    rest.height -= rows;
    Rect { y: rest.y + rest.height, height: rows, ..*rest }
}

fn left(rest: &mut Rect, columns: u16) -> Rect {
    let columns = columns.min(rest.width);
    let part = Rect { width: columns, ..*rest };
    *rest = Rect { x: rest.x + columns, width: rest.width - columns, ..*rest };
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_on_the_screen_and_do_not_overlap() {
        let sizes = [0, 1, 2, 3, 5, 7, 12, 24, 28, 40, 80, 104, 120, 190, 300, 1000];
        let amounts = |of| Amounts { problems: of, buckets: of, links: of, vbuckets: of };
        for (columns, rows) in sizes.iter().flat_map(|a| sizes.iter().map(move |b| (*a, *b))) {
            for (panel, of) in
                Panel::ALL.into_iter().flat_map(|it| [0, 1, 9, 999].map(|of| (it, of)))
            {
                for is_detail in [false, true] {
                    let found = places((columns, rows), panel, is_detail, amounts(of));
                    let screen = Rect::new(0, 0, columns, rows);
                    for (at, (place, area)) in found.iter().enumerate() {
                        let what = format!("{place:?} at {area:?} of {screen:?}, {found:?}");
                        assert!(screen.intersection(*area) == *area, "{what}");
                        let others = found.iter().skip(at + 1);
                        assert!(
                            others.clone().all(|(_, other)| !area.intersects(*other)),
                            "{what}"
                        );
                    }
                    if columns > 0 && rows >= 5 {
                        let shown = |place| found.iter().any(|(it, _)| *it == place);
                        assert!(shown(Place::Head) && shown(Place::Foot), "{found:?}");
                        assert!(of == 0 || shown(Place::Problems), "{found:?}");
                        let chosen = if is_detail { Place::Detail } else { Place::Panel(panel) };
                        assert!(shown(chosen), "{panel:?} {screen:?} {found:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn rows_of_the_grid_are_powers_of_two_that_fit() {
        for (size, row) in [
            ((0, 0), 1),
            ((6, 5), 1),
            ((40, 12), 32),
            ((80, 24), 64),
            ((103, 50), 64),
            ((104, 28), 64),
            ((150, 20), 128),
            ((120, 40), 64),
            ((190, 50), 128),
        ] {
            assert_eq!(grid_row(size), row, "{size:?}");
        }
    }
}
