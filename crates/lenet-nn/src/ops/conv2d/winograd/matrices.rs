//! The matrices of Winograd's minimal filtering F(M x M, R x R), computed at compile time from interpolation points.
//!
//! With `N = M + R - 1` points, the last of which is infinity (Lavin & Gray 2016, section 4, and the Cook-Toom construction
//! in Winograd 1980, *Arithmetic Complexity of Computations*):
//!
//! | matrix | shape | row of a point `p` |
//! |---|---|---|
//! | `A` ([`output_matrix`]) | `N x M` | its powers `1, p, p^2, ...` |
//! | `B'` ([`input_matrix`]) | `N x N` | the coefficients of a polynomial that is zero at all other finite points |
//! | `G` ([`kernel_matrix`]) | `N x R` | the powers of `p`, divided by the value of its polynomial in `B'` at `p` |
//!
//! Points come in pairs `p, -p`, because their rows differ only in the signs of odd powers: the transforms share the sums
//! of even and of odd terms between the two.

/// Returns the positive finite points of a tile with `N` points.
///
/// More points round off more. On random inputs the error of the output, relative to its standard deviation, is 6e-7 with
/// six points and 4e-6 with nine. Among sets of two and of four small fractions these have the smallest error (found by
/// trial); the customary 1 and 2 give 1e-6, and 1/4, 1/2, 1 and 2 give 7e-6.
const fn positive_points<const N: usize>() -> &'static [f64] {
    match N {
        6 => &[2.0 / 3.0, 3.0 / 2.0],
        9 => &[1.0 / 4.0, 2.0 / 3.0, 11.0 / 10.0, 2.0],
        _ => panic!("no points are defined for this tile size"),
    }
}

/// Returns whether 0 is a point. Its row is the first of each matrix, as that of infinity is the last.
pub(super) const fn has_zero_point<const N: usize>() -> bool {
    N.is_multiple_of(2)
}

/// Returns the row of the positive point of pair `pair`. The row of its negative is the next.
pub(super) const fn pair_row_index<const N: usize>(pair: usize) -> usize {
    has_zero_point::<N>() as usize + 2 * pair
}

/// Returns the number of pairs `p, -p`.
pub(super) const fn point_pair_count<const N: usize>() -> usize {
    (N - 1) / 2
}

/// Returns `B'`, indexed `[point][power]`.
pub(super) const fn input_matrix<const N: usize>() -> [[f32; N]; N] {
    to_f32(vanishing_polynomials())
}

/// Returns `A`, indexed `[point][power]`.
pub(super) const fn output_matrix<const N: usize, const M: usize>() -> [[f32; M]; N] {
    to_f32(powers_of_points())
}

/// Returns `G`, indexed `[point][tap]`.
pub(super) const fn kernel_matrix<const N: usize, const R: usize>() -> [[f32; R]; N] {
    let (b, mut g) = (vanishing_polynomials::<N>(), powers_of_points::<N, R>());
    if has_zero_point::<N>() {
        g[0] = divide_row(g[0], b[0][0]);
    }
    let mut pair = 0;
    while pair < point_pair_count::<N>() {
        let row = pair_row_index::<N>(pair);
        let value = evaluate_polynomial(b[row], positive_points::<N>()[pair]);
        (g[row], g[row + 1]) = (divide_row(g[row], value), divide_row(g[row + 1], value));
        pair += 1;
    }
    to_f32(g)
}

/// Returns the transpose of `matrix`.
pub(super) const fn transposed<const I: usize, const O: usize>(matrix: &[[f32; I]; O]) -> [[f32; O]; I] {
    let mut transposed = [[0.0; O]; I];
    let mut o = 0;
    while o < O {
        let mut i = 0;
        while i < I {
            transposed[i][o] = matrix[o][i];
            i += 1;
        }
        o += 1;
    }
    transposed
}

/// Returns the powers of each point. Infinity selects the highest power.
const fn powers_of_points<const N: usize, const M: usize>() -> [[f64; M]; N] {
    let mut a = [[0.0; M]; N];
    a[0][0] = 1.0;
    let mut pair = 0;
    while pair < point_pair_count::<N>() {
        let (row, point) = (pair_row_index::<N>(pair), positive_points::<N>()[pair]);
        (a[row][0], a[row + 1][0]) = (1.0, 1.0);
        let mut power = 1;
        while power < M {
            a[row][power] = a[row][power - 1] * point;
            a[row + 1][power] = a[row + 1][power - 1] * -point;
            power += 1;
        }
        pair += 1;
    }
    a[N - 1][M - 1] = 1.0;
    a
}

/// Returns, for each point, the coefficients of a polynomial that is zero at all other finite points.
const fn vanishing_polynomials<const N: usize>() -> [[f64; N]; N] {
    let zero = has_zero_point::<N>() as usize;
    let mut b = [[0.0; N]; N];
    b[0] = point_pair_polynomial::<N>(0, N);
    let mut pair = 0;
    while pair < point_pair_count::<N>() {
        let (row, point) = (pair_row_index::<N>(pair), positive_points::<N>()[pair]);
        let others = point_pair_polynomial::<N>(zero, pair);
        let mut power = 0;
        while power < N {
            // Multiplied by x + point, which is zero at the negative point.
            let coefficient = others[power] * point + if power > 0 { others[power - 1] } else { 0.0 };
            b[row][power] = coefficient;
            b[row + 1][power] = if power.is_multiple_of(2) { coefficient } else { -coefficient };
            power += 1;
        }
        pair += 1;
    }
    b[N - 1] = point_pair_polynomial::<N>(zero, N);
    b
}

/// Returns the coefficients of `x^lowest` times the product of `x^2 - point^2` over all pairs except pair `excluded`.
const fn point_pair_polynomial<const N: usize>(lowest: usize, excluded: usize) -> [f64; N] {
    let mut product = [0.0; N];
    product[lowest] = 1.0;
    let mut pair = 0;
    while pair < point_pair_count::<N>() {
        if pair != excluded {
            let point = positive_points::<N>()[pair];
            let mut power = N;
            while power > 0 {
                power -= 1;
                let lower = if power < 2 { 0.0 } else { product[power - 2] };
                product[power] = lower - product[power] * point * point;
            }
        }
        pair += 1;
    }
    product
}

/// Returns the value of a polynomial at `x`.
const fn evaluate_polynomial<const N: usize>(coefficients: [f64; N], x: f64) -> f64 {
    let (mut value, mut power) = (0.0, N);
    while power > 0 {
        power -= 1;
        value = value * x + coefficients[power];
    }
    value
}

/// Divides each element of `row` by `divisor`.
const fn divide_row<const R: usize>(mut row: [f64; R], divisor: f64) -> [f64; R] {
    let mut tap = 0;
    while tap < R {
        row[tap] /= divisor;
        tap += 1;
    }
    row
}

/// Rounds a matrix to single precision.
const fn to_f32<const I: usize, const O: usize>(matrix: [[f64; I]; O]) -> [[f32; I]; O] {
    let mut rounded = [[0.0; I]; O];
    let mut i = 0;
    while i < I * O {
        rounded[i / I][i % I] = matrix[i / I][i % I] as f32;
        i += 1;
    }
    rounded
}
