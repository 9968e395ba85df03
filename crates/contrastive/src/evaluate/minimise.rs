//! Minimisation of smooth functions: L-BFGS (Nocedal and Wright, Numerical Optimization, 2006,
//! algorithm 7.5), with a backtracking line search.

/// Pairs of steps and gradient changes that approximate the curvature.
const MEMORY: usize = 10;
/// Share of the decrease along the gradient that a step must reach (Armijo).
const ENOUGH: f64 = 1e-4;
/// Halvings of a step before the search gives up.
const HALVINGS: usize = 25;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Steps at most.
    pub(super) steps: usize,
    /// Largest slope, of any parameter, that counts as none.
    pub(super) slope: f64,
}

/// Brings `x` to a minimum of `function`, which returns the value at `x` and fills the gradient.
/// Returns the value there, which is no number if the function starts with none.
pub(super) fn minimise(
    x: &mut [f64],
    limits: Limits,
    mut function: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> f64 {
    let n = x.len();
    let mut gradient = vec![0.0; n];
    let mut value = function(x, &mut gradient);
    let mut history: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    let (mut next, mut next_gradient) = (vec![0.0; n], vec![0.0; n]);
    for _ in 0..limits.steps {
        let largest = gradient.iter().fold(0.0_f64, |most, g| most.max(g.abs()));
        if !value.is_finite() || largest <= limits.slope {
            break;
        }
        let mut direction = downhill(&gradient, &history);
        let mut slope = dot(&direction, &gradient);
        if slope >= 0.0 {
            history.clear();
            direction = gradient.iter().map(|g| -g).collect();
            slope = dot(&direction, &gradient);
        }
        // Without curvature the length of the gradient says nothing about that of the step.
        let mut step = if history.is_empty() { 1.0 / (-slope).sqrt().max(1.0) } else { 1.0 };
        let mut found = None;
        for _ in 0..HALVINGS {
            for ((next, x), d) in next.iter_mut().zip(&*x).zip(&direction) {
                *next = x + step * d;
            }
            let there = function(&next, &mut next_gradient);
            if there <= value + ENOUGH * step * slope {
                found = Some(there);
                break;
            }
            step *= 0.5;
        }
        let Some(there) = found else { break };
        let moved: Vec<f64> = next.iter().zip(&*x).map(|(a, b)| a - b).collect();
        let bent: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&moved, &bent);
        if curvature > 1e-12 * dot(&bent, &bent).sqrt() * dot(&moved, &moved).sqrt() {
            if history.len() == MEMORY {
                history.remove(0);
            }
            history.push((moved, bent, 1.0 / curvature));
        }
        x.copy_from_slice(&next);
        gradient.copy_from_slice(&next_gradient);
        value = there;
    }
    value
}

/// Minus the approximate inverse curvature times the gradient, by the two loops.
fn downhill(gradient: &[f64], history: &[(Vec<f64>, Vec<f64>, f64)]) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut factors = Vec::with_capacity(history.len());
    for (moved, bent, inverse) in history.iter().rev() {
        let factor = inverse * dot(moved, &direction);
        direction.iter_mut().zip(bent).for_each(|(d, b)| *d -= factor * b);
        factors.push(factor);
    }
    if let Some((_, bent, inverse)) = history.last() {
        let scale = 1.0 / (inverse * dot(bent, bent));
        direction.iter_mut().for_each(|d| *d *= scale);
    }
    for ((moved, bent, inverse), factor) in history.iter().zip(factors.iter().rev()) {
        let back = inverse * dot(bent, &direction);
        direction.iter_mut().zip(moved).for_each(|(d, m)| *d += (factor - back) * m);
    }
    direction
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bent_valley_is_followed_to_its_end() {
        // Rosenbrock's function: the minimum is 0 at (1, 1).
        let mut x = [-1.2, 1.0];
        let value = minimise(&mut x, Limits { steps: 200, slope: 1e-9 }, |x, gradient| {
            let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
            gradient[0] = -2.0 * a - 400.0 * x[0] * b;
            gradient[1] = 200.0 * b;
            a * a + 100.0 * b * b
        });
        assert!(value < 1e-12 && (x[0] - 1.0).abs() < 1e-6 && (x[1] - 1.0).abs() < 1e-6, "{x:?}");
    }

    #[test]
    fn what_starts_as_no_number_stays_where_it_is() {
        let mut x = [3.0];
        let value = minimise(&mut x, Limits { steps: 5, slope: 1e-9 }, |_, _| f64::NAN);
        assert!(value.is_nan() && x == [3.0]);
    }
}
