import {
  at,
  both,
  either,
  gives,
  int16,
  int8And16,
  int8Only,
  not,
  rankAbove,
  set,
  x,
  type Rules,
} from './versionConditions.ts';

const blocks: Rules = [
  [4, x('int16')],
  [3, (s) => s.rank(0) !== 4],
  [2, x('int8')],
];
const padding: Rules = [
  [5, x('bool')],
  [4, rankAbove(4)],
  [3, x('int16')],
  [2, x('int8')],
];

/** Versions of operators that move, choose or reinterpret elements. */
export const movementVersions: Readonly<Record<string, Rules>> = {
  GATHER: [
    [7, x('int4')],
    [6, at(1, 'int16')],
    [5, set('batch_dims')],
    [4, x('int16')],
    [3, x('bool')],
    [2, x('int8')],
  ],
  GATHER_ND: [
    [5, x('bool')],
    [4, at(1, 'int16')],
    [3, x('int16')],
    [2, x('string')],
  ],
  TRANSPOSE: [
    [7, x('int4')],
    [6, rankAbove(5)],
    [5, x('int16')],
    [4, rankAbove(4)],
    [3, x('bool')],
    [2, x('int8')],
  ],
  SPLIT: [
    [4, at(1, 'int16')],
    [3, at(1, 'int32')],
    [2, at(1, 'int8')],
  ],
  SPARSE_TO_DENSE: [
    [3, at(2, 'int8', 'uint8')],
    [2, at(2, 'int64')],
  ],
  SLICE: [
    [6, x('uint32')],
    [5, rankAbove(4)],
    [4, x('int16')],
    [3, x('string')],
    [2, x('int8')],
  ],
  STRIDED_SLICE: [
    [8, set('offset')],
    [7, x('uint32')],
    [6, either(set('ellipsis_mask'), set('new_axis_mask'))],
    [5, x('string')],
    [4, rankAbove(4)],
    [3, x('bool')],
    [2, x('int8')],
  ],
  UNPACK: [
    [4, int16],
    [3, x('bool')],
    [2, x('int8', 'uint8')],
  ],
  PACK: [
    [4, x('uint32')],
    [3, int16],
    [2, x('int8')],
  ],
  REVERSE_V2: [
    [3, x('int8')],
    [2, x('bool')],
  ],
  RESIZE_BILINEAR: [
    [4, x('int16')],
    [3, set('half_pixel_centers')],
    [2, x('int8')],
  ],
  RESIZE_NEAREST_NEIGHBOR: [
    [4, x('int16')],
    [3, either(set('half_pixel_centers'), set('align_corners'))],
    [2, x('int8')],
  ],
  TILE: [
    [3, x('int8')],
    [2, x('string')],
  ],
  SQUEEZE: [[2, x('string')]],
  SPACE_TO_BATCH_ND: blocks,
  BATCH_TO_SPACE_ND: blocks,
  FILL: [
    [4, at(1, 'float16')],
    [3, at(1, 'int8', 'int16')],
    [2, at(1, 'bool', 'string')],
  ],
  RANGE: [[2, x('int64')]],
  PAD: padding,
  PADV2: padding,
  CONCATENATION: [
    [4, x('uint32')],
    [3, x('int16')],
    [2, x('int8')],
  ],
  MIRROR_PAD: int8And16,
  SELECT: [
    [4, x('uint32')],
    [3, (s) => [0, 1, 2].some((index) => s.rank(index) === 5)],
    [2, x('int8')],
  ],
  SELECT_V2: [[2, x('uint32')]],
  SPACE_TO_DEPTH: int8Only,
  DEPTH_TO_SPACE: int8Only,
  SPLIT_V: int8Only,
  TOPK_V2: [
    [3, (s) => s.input(0) === 'int16' || s.input(1) === 'int16' || s.output(1) === 'int16'],
    [2, x('int8')],
  ],
  DYNAMIC_UPDATE_SLICE: [
    [4, x('int16')],
    [3, x('float16')],
    [2, at(2, 'int64')],
  ],
  BROADCAST_TO: [
    [3, x('int8', 'int16')],
    [2, () => true],
  ],
  CAST: [
    [7, either(x('bfloat16'), gives('bfloat16'))],
    [6, both(x('int4'), gives('float32'))],
    [5, either(x('float64', 'float16'), gives('float64', 'float16'))],
    [4, either(x('uint16'), gives('uint16'))],
    [3, either(x('int8'), gives('int8'))],
    [2, either(x('uint32'), gives('uint32'))],
  ],
  WHERE: [[2, not(x('bool'))]],
};
