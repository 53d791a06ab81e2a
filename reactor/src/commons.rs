//! Values that the dispatchers of a loop have in common, one of each type: what `scratch` is for bytes.

use std::any::{Any, TypeId};

/// Of a few types, so that a walk is as good as a map.
#[derive(Default)]
pub(crate) struct Commons(Vec<(TypeId, Box<dyn Any>)>);

impl Commons {
    /// The value of that type, which is made if there is none yet.
    pub(crate) fn get<T: Default + 'static>(&mut self) -> &mut T {
        let (values, wanted) = (&mut self.0, TypeId::of::<T>());
        let known = values.iter().position(|&(known, _)| known == wanted);
        let at = known.unwrap_or_else(|| add(values, wanted, || Box::new(T::default())));
        match values[at].1.downcast_mut() {
            Some(value) => value,
            None => unreachable!("it is where one of its type was found, or put"),
        }
    }
}

#[cold]
fn add(
    values: &mut Vec<(TypeId, Box<dyn Any>)>,
    key: TypeId,
    make: impl FnOnce() -> Box<dyn Any>,
) -> usize {
    values.push((key, make()));
    values.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_of_each_type() {
        let mut commons = Commons::default();
        *commons.get::<u32>() += 1;
        commons.get::<String>().push('a');
        *commons.get::<u32>() += 1;
        assert_eq!(*commons.get::<u32>(), 2);
        assert_eq!(commons.get::<String>(), "a");
        assert_eq!(commons.0.len(), 2);
    }
}
