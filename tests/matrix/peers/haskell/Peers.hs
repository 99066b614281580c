-- Haskell's websockets: its own echo, in both roles.
--
--     peers server PORT
--     peers client PORT
--     peers strict PORT   (a server that checks UTF-8, which is off by default)
import Control.Exception (SomeException, catch)
import Control.Monad (forever)
import qualified Network.WebSockets as WS
import System.Environment (getArgs)

echo :: WS.Connection -> IO ()
echo connection = forever (WS.receiveDataMessage connection >>= WS.sendDataMessage connection) `catch` ended
  where
    ended :: SomeException -> IO ()
    ended _ = pure ()

main :: IO ()
main = do
  [role, port] <- getArgs
  case role of
    "server" -> WS.runServer "127.0.0.1" (read port) accept
    "strict" -> WS.runServerWith "127.0.0.1" (read port) strict accept
    _ -> WS.runClient "127.0.0.1" (read port) "/" echo `catch` failed
  where
    accept pending = WS.acceptRequest pending >>= echo
    strict = WS.defaultConnectionOptions {WS.connectionStrictUnicode = True}
    failed :: SomeException -> IO ()
    failed _ = pure ()
