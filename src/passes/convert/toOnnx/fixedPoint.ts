/**
 * Logistic and hyperbolic tangent of 16-bit fixed-point numbers as gemmlowp computes them (fixedpoint.h; Jacob and
 * others, 2015), which LiteRT's integer LSTM calls: an interpolated exponential and three Newton steps for 1 / (1 + x).
 * They differ from the rounded functions by a few units in the last place. All results have 15 bits behind the point.
 */

const one = 32767;

/** Constants are stated with 31 bits behind the point. */
const short = (constant: number) => Math.floor((constant + 2 ** 15) / 2 ** 16);
const expOfEighth = short(1895147668);
const third = short(715827883);
const ratio48to17 = short(1515870810);
const ratio32to17 = short(-1010580540);
/** e to the power of -2^exponent, from the exponent -2 on. */
const powers = [1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242].map(short);

const saturated = (value: number) => Math.max(-32768, Math.min(32767, value));

/** Rounding, doubling high half of a product. */
function multiplied(a: number, b: number): number {
  const product = a * b;
  return saturated(Math.trunc((product + (product >= 0 ? 2 ** 14 : 1 - 2 ** 14)) / 2 ** 15));
}

/** Divided by a power of two, halves away from zero. */
function divided(value: number, bits: number): number {
  return Math.sign(value) * Math.floor(Math.abs(value) / 2 ** bits + 0.5);
}

/** Of a number in [-1/4, 0) with 15 bits behind the point. */
function expNearZero(value: number): number {
  const x = value + 2 ** 12;
  const square = multiplied(x, x);
  const cube = multiplied(square, x);
  const fourth = divided(multiplied(square, square), 2);
  const tail = divided(multiplied(fourth + cube, third) + square, 1);
  return saturated(expOfEighth + multiplied(expOfEighth, x + tail));
}

/** Of a number that is not above zero, with so many bits before the point. */
function expOfNegative(value: number, integerBits: number): number {
  if (value === 0) return one;
  const fraction = 15 - integerBits;
  const quarter = 2 ** (fraction - 2);
  const rest = (((value % quarter) + quarter) % quarter) - quarter;
  let result = expNearZero(saturated(rest * 2 ** integerBits));
  const whole = rest - value;
  powers.forEach((power, place) => {
    const exponent = place - 2;
    if (exponent < integerBits && Math.floor(whole / 2 ** (fraction + exponent)) % 2 === 1)
      result = multiplied(result, power);
  });
  return result;
}

/** 2 / (1 + x) of x in [0, 1], with two bits before the point. */
function twiceReciprocal(x: number): number {
  const half = Math.trunc((x + one + 1) / 2);
  let result = ratio48to17 + multiplied(half, ratio32to17);
  for (let step = 0; step < 3; step += 1) {
    const missing = 2 ** 13 - multiplied(half, result);
    result += saturated(multiplied(result, missing) * 4);
  }
  return result;
}

/** Of a code that is not below zero, with so many bits before the point. */
export function logisticCode(code: number, integerBits: number): number {
  if (code === 0) return 2 ** 14;
  // Half of the result, rescaled from two bits before the point to none.
  return saturated(twiceReciprocal(expOfNegative(-code, integerBits)) * 2);
}

/** Of a code that is not below zero, with so many bits before the point. */
export function tanhCode(code: number, integerBits: number): number {
  if (code === 0) return 0;
  return saturated((twiceReciprocal(expOfNegative(-code, integerBits + 1)) - 2 ** 13) * 4);
}
