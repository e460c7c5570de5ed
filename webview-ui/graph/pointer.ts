/** Gestures on the canvas, in canvas pixels. */
export interface Gestures {
  pan(dx: number, dy: number): void;
  zoom(point: { x: number; y: number }, factor: number): void;
  hover(point: { x: number; y: number } | undefined): void;
  click(point: { x: number; y: number }): void;
  doubleClick(point: { x: number; y: number }): void;
  menu(point: { x: number; y: number }): void;
}

/** A press that moves farther than this is a drag. */
const slack = 4;

export function listenToPointer(canvas: HTMLCanvasElement, gestures: Gestures): void {
  let last: { x: number; y: number } | undefined;
  let moved = 0;
  const at = (event: MouseEvent) => {
    const { left, top } = canvas.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  };
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button === 2) return;
    last = at(event);
    moved = 0;
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener('pointermove', (event) => {
    const point = at(event);
    if (last === undefined) return gestures.hover(point);
    const [dx, dy] = [point.x - last.x, point.y - last.y];
    moved += Math.abs(dx) + Math.abs(dy);
    if (moved < slack) return;
    canvas.classList.add('dragging');
    gestures.pan(-dx, -dy);
    last = point;
  });
  const release = (event: PointerEvent) => {
    if (last !== undefined && moved < slack && event.type === 'pointerup') gestures.click(at(event));
    last = undefined;
    canvas.classList.remove('dragging');
  };
  canvas.addEventListener('pointerup', release);
  canvas.addEventListener('pointercancel', release);
  canvas.addEventListener('pointerleave', () => gestures.hover(undefined));
  canvas.addEventListener('dblclick', (event) => gestures.doubleClick(at(event)));
  canvas.addEventListener('contextmenu', (event) => {
    event.preventDefault();
    event.stopPropagation();
    // The menu key comes without a place; the keyboard handler opens that menu.
    if (event.button === 2) gestures.menu(at(event));
  });
  canvas.addEventListener(
    'wheel',
    (event) => {
      event.preventDefault();
      // Lines and pages in pixels. A pinch on a trackpad arrives as a wheel with ctrl.
      const unit = event.deltaMode === 1 ? 18 : event.deltaMode === 2 ? 400 : 1;
      if (event.ctrlKey || event.metaKey) gestures.zoom(at(event), Math.exp(-event.deltaY * unit * 0.004));
      else if (event.shiftKey) gestures.pan(event.deltaY * unit, 0);
      else gestures.pan(event.deltaX * unit, event.deltaY * unit);
    },
    { passive: false },
  );
}
