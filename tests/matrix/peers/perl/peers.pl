# Mojolicious: an echo in both roles, as its docs show one.
#
#     perl peers.pl server mojolicious PORT
#     perl peers.pl client mojolicious ws://127.0.0.1:PORT/
use Mojo::Base -strict;
use Mojo::IOLoop;
use Mojo::Server::Daemon;
use Mojo::UserAgent;

# On a controller, `on` answers the handshake, too.
sub echo {
    my ($on, $tx) = @_;
    $tx->max_websocket_size(16 << 20);
    $on->on(text   => sub { shift->send({text   => shift}) });
    $on->on(binary => sub { shift->send({binary => shift}) });
}

my ($role, $name, $address) = @ARGV;
if ($role eq 'server') {
    require Mojolicious;
    my $app = Mojolicious->new;
    $app->log->level('fatal');
    $app->routes->websocket('/' => sub { my $c = shift; echo($c, $c->tx) });
    Mojo::Server::Daemon->new(app => $app, listen => ["http://127.0.0.1:$address"], silent => 1)->run;
} else {
    my $ua = Mojo::UserAgent->new;
    $ua->websocket($address => sub {
        my ($ua, $tx) = @_;
        return Mojo::IOLoop->stop unless $tx->is_websocket;
        echo($tx, $tx);
        $tx->on(finish => sub { Mojo::IOLoop->stop });
    });
    Mojo::IOLoop->start;
}
