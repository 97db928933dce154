// What anybody would see wrong with a page; stands in it before its own scripts (tests/e2e/sight.py).
(() => {
  /** Text that a clipping ancestor, its card or the window cuts off. A title says what an ellipsis hides. */
  const cut = () => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const owner = node.parentElement;
    if (!node.textContent.trim() || !owner.checkVisibility({opacityProperty: true, visibilityProperty: true}))
      continue;
    if (owner.closest('script, style, svg, select, textarea, [aria-hidden=true], .js-plotly-plot')) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const text = range.getBoundingClientRect();
    if (text.width < 2 || text.height < 2) continue;
    for (let box = owner; box && box !== document.body; box = box.parentElement) {
      const style = getComputedStyle(box);
      const place = box.getBoundingClientRect();
      if (place.width < 2 || place.height < 2) break; // for screen readers alone
      if (['auto', 'scroll'].includes(style.overflowX) || ['auto', 'scroll'].includes(style.overflowY)) break;
      if (style.textOverflow === 'ellipsis' && box.closest('[title]')) break;
      const clips = style.overflowX !== 'visible' || box.matches('.card, dialog, [popover]');
      const beside = text.right > place.right + 2 || text.left < place.left - 2;
      const below = style.overflowY !== 'visible' && text.bottom > place.bottom + 3;
      if (clips && (beside || below)) {
        found.push(`“${node.textContent.trim().slice(0, 60)}” leaves ${box.className || box.tagName}`);
        break;
      }
      if (style.position === 'fixed') break;
      if (box.parentElement === document.body && text.right > innerWidth + 2)
        found.push(`“${node.textContent.trim().slice(0, 60)}” leaves the window`);
    }
  }
  return [...new Set(found)];
};

  /** Text whose colour is too near to what it stands on. */
  const pale = (least) => {
  const rgb = (text) => {
    const parts = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return text.startsWith('color(') ? parts.map((v, i) => (i < 3 ? v * 255 : v)) : parts;
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((v) => {
      const s = v / 255;
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  for (const element of document.querySelectorAll('.wm *, .card *')) {
    const says = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!says || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest(':disabled, svg, .js-plotly-plot, canvas')) continue;
    let ground = null;
    for (let box = element; box && !ground; box = box.parentElement) {
      const style = getComputedStyle(box);
      if (style.backgroundImage !== 'none') break;
      const parts = rgb(style.backgroundColor);
      if ((parts[3] ?? 1) > 0.95) ground = parts;
      else if (style.position === 'absolute') break; // over a picture: its ground is not known
    }
    if (!ground) continue;
    const [one, other] = [light(rgb(getComputedStyle(element).color)), light(ground)];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < least) found.push(`“${element.textContent.trim().slice(0, 40)}” has contrast ${ratio.toFixed(1)}`);
  }
  return [...new Set(found)];
};

  const sight = { shift: 0, jumps: [], grown: 0, cut, pale };
  window.sight = sight;
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      if (entry.hadRecentInput) continue;
      sight.shift += entry.value;
      for (const {node} of entry.sources)
        if (entry.value > 0.01) sight.jumps.push((node?.outerHTML ?? node?.nodeName ?? '').slice(0, 90));
    }
  }).observe({type: 'layout-shift', buffered: true});
  addEventListener('DOMContentLoaded', () => new MutationObserver((changes) => {
    if (changes.some(({addedNodes}) => [...addedNodes].some((node) => node.nodeType === 1)))
      sight.grown = performance.now();
  }).observe(document.body, {childList: true, subtree: true}));

})();
