//! A client's passive ports tell nothing of another's, whose process may have been made like his.

use crate::common::{Client, Mode};
use crate::model::{MODELS, start};

#[test]
fn no_two_clients_have_the_same_ports_in_a_row() {
    for model in MODELS {
        let home = tempfile::tempdir().unwrap();
        let program = start(model, home.path(), &[]);
        let ports = || {
            let mut client = Client::connect(program.addr());
            client.expect_reply(220);
            client.login_as("anonymous", "me");
            [(); 3].map(|()| client.passive_address(Mode::Epsv).port())
        };
        let mut all = [(); 8].map(|()| ports());
        all.sort_unstable();
        assert!(
            all.windows(2).all(|two| two[0] != two[1]),
            "{model}: {all:?}"
        );
    }
}
